"""The page as a client sees it: who may look and decide, what a look, a search and a comparison say, and what it does with
stores and texts that are not as they should be."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sharpen.cli import program
from sharpen.core import Arm, ArmStats, Decision, Evaluation, Rollout, Sample, Task, UserError, Verdict
from sharpen.guard import Diagnosis
from sharpen.report.charts import percent
from sharpen.store import Asked, Position, Store, asked
from sharpen.terminal import Noted, Quiet, listening, noted
from sharpen.view import answers, app, found, reading, searching, watching

LACKING = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
LACKING += [] if any(map(importlib.util.find_spec, ("httpx", "httpx2"))) else ["httpx"]  # starlette's test client has either
NEEDED = pytest.mark.skipif(bool(LACKING), reason=f"{' and '.join(LACKING)} not installed")
HOME = "http://127.0.0.1:8484"
META = {"recipe": "grpo", "recipe_text": "tasks gym\nbudget            '20steps'", "request": {"budget": "10steps"}, "seed": 1}
ATTACK = (
    "</pre></script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\x1b[2J\u202e\ud800"
)
ADD, SORT = Arm("add", 1), Arm("sort", 2)


def question(arm: Arm, number: int, split: str = "train", answer: str = "3", **more) -> Task:
    prompt = ({"role": "user", "content": f"{arm.family} question {number}"},)
    return Task(prompt, answer, arm.family, arm.level, split, "number", **more)


def sample(task: Task, id: str, outcome: str, *turns: str, group: int = 0) -> Sample:
    reward = None if outcome == "unscorable" else float(outcome == "correct")
    rollout = Rollout(task, [1, 2, 3], [False, True, True], [0.0, -0.5, -0.5], turns or ("3",), "end", 0, 7, id, None)
    return Sample(rollout, Verdict(outcome, reward, {}, "", "same number"), group)


def evaluate(store: Store, number: int, marks: dict[Arm, str], seed: int = 0) -> None:
    """An evaluation on validation of which each arm's tasks went so."""
    listed = [(arm, i, mark) for arm, own in marks.items() for i, mark in enumerate(own)]
    answers = [
        sample(
            question(arm, 100 * seed + i, "validation"),
            f"validation.{number:05d}.{n:06d}",
            "correct" if mark == "1" else "wrong",
        )
        for n, (arm, i, mark) in enumerate(listed)
    ]
    store.add_samples("validation", 4 * number, number, answers)
    store.add_evaluation(number, "validation", Evaluation({arm: tuple(m == "1" for m in own) for arm, own in marks.items()}))


def steps(store: Store, first: int, n: int, number: int, said: str = "3") -> None:
    for step in range(first, first + n):
        task = question(ADD if step % 2 else SORT, step)
        made = [sample(task, f"s{step:06d}.000.{j:03d}", ("wrong", "correct")[j], "why?", said) for j in range(2)]
        store.add_samples("train", step, number, made)
        store.add_batch(step, made)
        store.add_arm_stats([ArmStats(step, task.arm, 2, 1, 1.0, 4)])
        stats = {"reward": 0.5, "silent": 0.25, "malformed": 0.125, "truncated": 0.0, "tokens": 40, "rollouts": 2}
        store.add_step(step, "loop", number, stats)
        store.add_timing("generate", 2.0, step)


CLAIM = question(Arm("add_own", 1), 900, answer="6", parents=(question(SORT, 2).id,), operator="own")
MENDED = question(SORT, 2, answer="4")


def make(directory: Path, finished: bool = False, meta=META) -> Path:
    """Two rounds, the second taken back; a label in dispute, a revised one, and a finding."""
    with Store.create(directory, meta) as store:
        evaluate(store, 0, {ADD: "1000", SORT: "0000"})
        store.add_decision(0, Decision("better", "accepted: the start", {}))
        steps(store, 0, 4, 1)
        evaluate(store, 1, {ADD: "1110", SORT: "0001"})
        store.add_decision(1, Decision("better", "accepted: it rose", {}))
        steps(store, 4, 4, 2, "yes, 10 % or so")
        evaluate(store, 2, {ADD: "0000", SORT: "0000"})
        store.add_decision(2, Decision("worse", "rolled back: it fell", {}))
        store.add_tasks([CLAIM, MENDED])
        store.add_rows("disputes", [(1, CLAIM.id, "label in dispute", "claimed 6, found 5")])
        store.add_rows("repairs", [(0, 1, question(SORT, 2).id, MENDED.id, "label mended", "two solvers say 4")])
        store.add_diagnosis(6, Diagnosis("mismatch grows", False, {"mismatch": 0.01}, "Use precision=fp32."))
        store.commit(Position("done" if finished else "loop", 8, 2, finished=finished))
    return directory


@pytest.fixture
def run(tmp_path) -> Path:
    return make(tmp_path / "run")


def client(*runs: Path, decides: bool = True, token: str = "secret", loops: Sequence[Path] = (), **headers: str):
    from starlette.testclient import TestClient

    site = app.site_of(runs, 8484, decides, "secret", loops)
    given = {"authorization": f"Bearer {token}"} if token else {}
    return TestClient(app.application(site), base_url=HOME, headers={**given, **headers}, follow_redirects=False)


def got(here, path: str) -> dict:
    reply = here.get(path, headers={"accept": "application/json"})
    assert reply.status_code == 200, reply.text
    return reply.json()


# Who may look, and decide.


@NEEDED
def test_without_the_token_nothing_is_shown_or_decided(run):
    for token in ("", "wrong"):
        here = client(run, token=token)
        for path in ("/", "/run", "/run/rollouts", "/run/events", "/run/labels", "/page.js", "/elsewhere"):
            reply = here.get(path)
            assert reply.status_code in (401, 404) and "add" not in reply.text.lower().replace("address", "").replace(
                "padding", ""
            )
        assert here.post("/run/order", data={"what": "stop"}).status_code == 401
        assert here.get("/run?token=wrong").status_code == 401
    assert not (run / "asked").exists()


@NEEDED
def test_the_token_goes_from_the_address_into_a_cookie(run):
    here = client(run, token="")
    reply = here.get("/run/rollouts?token=secret&text=a+b")
    assert reply.status_code == 303 and reply.headers["location"] == "/run/rollouts?text=a+b"
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and cookie.startswith("sharpen-8484=")
    assert here.get("/run").status_code == 200
    # A page elsewhere that sends a form with somebody's cookie has another origin, or none.
    form = {"kind": "dispute", "subject": CLAIM.id, "answer": "accept"}
    for origin in ({}, {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:9999"}):
        assert here.post("/run/decide", data=form, headers=origin).status_code == 403
    assert here.post("/run/decide", data=form, headers={"origin": HOME}).status_code == 303
    # Nor is it asked for under a name that was made to lead here.
    assert here.get("/run", headers={"host": "evil.example:8484"}).status_code == 403


@NEEDED
def test_what_is_sent_back_lets_nothing_act(run):
    reply = client(run).get("/run")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["cache-control"] == "no-store"
    (run / "report.html").write_text("<script>alert(1)</script>")  # a directory from elsewhere
    assert client(run).get("/run/report").headers["content-security-policy"].startswith("sandbox")


@NEEDED
def test_a_form_that_is_none_is_refused(run):
    here = client(run)
    assert here.post("/run/decide", content=b"x" * (1 << 19)).status_code == 413
    assert here.post("/run/decide", content=b"\xff\xfe=%").status_code == 400
    for form in (
        {},
        {"kind": "dispute", "subject": "ab" * 8, "answer": "accept"},
        {"kind": "extend", "subject": "0001", "answer": "1h"},
    ):
        assert here.post("/run/decide", data=form).status_code == 400
    assert here.post("/run/order", data={"what": "dance"}).status_code == 400
    assert here.post("/run/order", data={"what": "extend", "budget": "much"}).status_code == 400
    assert not (run / "asked").exists() or not os.listdir(run / "asked")


# What a look says.


@NEEDED
def test_the_overview_by_hand(run):
    said = got(client(run), "/run")
    # The weights in use are those of round 1: 3 of 4 and 1 of 4, at first 1 of 4 and 0 of 4.
    assert said["accuracy"]["value"] == 0.5 and said["start"]["value"] == 0.125 and said["gain"]["value"] == 0.375
    assert said["accuracy"]["low"] < 0.5 < said["accuracy"]["high"]
    assert (said["silent"], said["malformed"], said["reward"]) == (0.25, 0.125, 0.5)
    assert said["tokens_per_second"] == 20.0 and said["used"] == 0.8  # 40 tokens in 2 s; 8 of 10 steps
    assert said["seconds_left"] == pytest.approx(4.0) and said["state"] == "stopped" and said["step"] == 8
    assert said["skills"]["add/1"]["value"] == 0.75 and said["disputes"] == 1
    assert [f["name"] for f in said["findings"]] == ["mismatch grows"]


def test_what_is_told_is_of_the_weights_that_are_exported(run):
    """A round that the guard is unsure of is not what is exported, and the half by which it chose is not what is told."""
    with Store.open(run, write=True) as store:
        evaluate(store, 3, {ADD: "1111", SORT: "1111"})
        store.add_decision(3, Decision("unclear", "no evidence either way", {}))
        store.commit(Position("loop", 8, 3))
    look = reading.look(run)
    assert (look.kept, look.accuracy.value, look.gain.value, look.skills[ADD][0].value) == (1, 0.5, 0.375, 0.75)
    with Store.open(run, write=True) as store:
        evaluate(store, 4, {ADD: "1011", SORT: "1010"})
        store.add_decision(4, Decision("better", "accepted: it rose on the half that chooses", {"reported": 0.25}))
        store.commit(Position("loop", 8, 4))
    look = reading.look(run)  # of every second task: 0 and 1 of 2 right for `add`, none for `sort`; nothing at the start
    assert (look.kept, look.accuracy.value, look.gain.value) == (4, 0.25, 0.25)
    assert [now.value for now, _ in look.skills.values()] == [0.5, 0.0]


@NEEDED
def test_the_list_and_the_comparison_begin_with_the_weights_that_are_exported(run, tmp_path):
    with Store.open(run, write=True) as store:
        evaluate(store, 3, {ADD: "1111", SORT: "1111"})
        store.add_decision(3, Decision("unclear", "no evidence either way", {}))
        store.commit(Position("loop", 8, 3))
    here = client(run, make(tmp_path / "other"))
    listed = here.get("/").text
    assert listed.count(percent(0.5, 1)) == 2 and percent(1, 1) not in listed and ", round 1<" in listed
    assert got(here, "/run")["kept"] == 1 and got(here, "/run/compare")["b"] == "validation:1"


def test_what_is_left_of_each_kind_of_budget(run):
    look = reading.look(run)
    idle = reading.Live(None, None, False)
    assert reading.left(look, idle, look.at + 100) == (0.8, pytest.approx(4.0))
    going = reading.Live(1, None, False)  # 8 steps in 16 s: in 2 s there is one more
    assert reading.left(look, going, look.at + 2) == (pytest.approx(0.9), pytest.approx(2.0))
    resumed = reading.Live(1, None, False, look.at + 98)  # nobody worked on it before
    assert reading.left(look, resumed, look.at + 100) == (pytest.approx(0.9), pytest.approx(2.0))
    assert reading.left(dataclasses.replace(look, finished=True), idle, look.at) == (1.0, 0.0)
    assert reading.left(dataclasses.replace(look, budget=None), idle, look.at) == (None, None)
    for budget, used in (("100s", 16.0), ("10m loop", 16.0), ("1ktokens", 32.0)):
        with sqlite3.connect(run / "run.db") as db:
            db.execute("UPDATE meta SET value = ? WHERE key = 'request'", (json.dumps({"budget": budget}),))
        assert reading.look(run).used == used


def test_of_many_steps_some_are_read_and_all_of_the_latest(tmp_path, monkeypatch):
    with Store.create(tmp_path / "run", META) as store:
        steps(store, 0, 100, 1)
        store.commit(Position("loop", 100, 1))
    assert len(reading.look(tmp_path / "run").steps) == 100
    with Store.open(tmp_path / "run") as store:
        assert len(reading.latest_steps(store, 10)) == 10 + 40 - 4


def test_a_note_of_the_process_is_shown_while_it_lives(run):
    now = [0.0]
    progress = Noted(Quiet(), run, lambda: now[0])
    for _ in range(3):
        progress.phase("evaluate", total=8)
        progress.advance(2, tokens_per_second=120.0)
        now[0] += 2
    progress.say("round 3: held-out 50 %" + "x" * 1000)
    note = noted(run)
    assert (note["phase"], note["done"], note["total"], note["numbers"]) == ("evaluate", 6, 8, {"tokens_per_second": 120.0})
    assert len(note["said"][0]) == 400
    assert reading.live(run, note["at"]).note is None  # nobody holds the run
    with Store.open(run, write=True):
        assert reading.live(run, note["at"] + 1).note == note and reading.live(run, note["at"] + 1000).note is None
    told = reading.Live(1, {"said": ["round 3: held-out 50 %", "doctor: look", 7]}, False)
    assert watching.said(told) == ["doctor: look", "7"]  # rounds have a place of their own on the page
    for odd in ("", "{", '{"pid": 1}', "[" * 10**5, json.dumps({**note, "total": "x"})):
        (run / "now.json").write_text(odd)
        assert noted(run) is None


def test_a_look_is_made_after_a_commit_and_not_too_often(run):
    now = [0.0]

    def spent() -> float:
        now[0] += 1.0  # so a look takes a second
        return now[0]

    watched = watching.Watched(run, lambda: now[0], spent)
    watched.look()
    assert watched.version == 1
    watched.look()
    assert watched.version == 1  # nothing is new
    with Store.open(run, write=True) as store:
        steps(store, 8, 2, 3)
        store.commit(Position("loop", 10, 2))
    assert watched.look().step == 8 and watched.version == 1  # it is not due: a look may take a two-hundredth of the time
    now[0] += 1000
    assert watched.look().step == 10 and watched.version == 2


@NEEDED
def test_news_come_as_events_and_only_news(run):
    site = app.site_of([run], 8484, True, "secret")

    async def read() -> list[str]:
        from sharpen.view import answers

        stream = answers.news(answers.parts_of(site.runs["run"], True))
        return [await anext(stream) for _ in range(7)]

    first, *parts = asyncio.run(read())
    made = [json.loads(part.partition("data: ")[2]) for part in parts]
    assert first.startswith("retry") and {p["id"] for p in made} == {
        "head",
        "figures",
        "rounds",
        "findings",
        "skills",
        "curves",
    }


# Searching and comparing.


@NEEDED
def test_rollouts_are_searched_by_text_arm_outcome_and_turn(run):
    here = client(run)
    count = {
        "": 40,  # 3 evaluations of 8, 8 steps of 2
        "text=10+%25+or": 8,
        "text=10_%25": 0,  # no wildcard
        "text=QUESTION+5": 2,
        "text=why&turn=1": 16,
        "text=why&turn=2": 0,
        "turn=2": 16,
        "arm=sort": 20,
        "arm=sort/2&purpose=train": 8,
        "arm=sort/3": 0,
        "outcome=correct&purpose=train": 8,
        "outcome=not+correct&purpose=validation&arm=add/1": 8,
    }
    for query, n in count.items():
        said = got(here, f"/run/rollouts?{query}")
        assert (len(said["rows"]), said["searched"], said["further"]) == (n, said["total"], None), query
    latest = [row["id"] for row in got(here, "/run/rollouts")["rows"]]
    assert latest[0] == "validation.00002.000007" and len(set(latest)) == 40
    for bad in ("outcome=nice", "purpose=fun", "turn=-1", "turn=x", "text=" + "x" * 201):
        assert here.get(f"/run/rollouts?{bad}").status_code == 400


def test_a_search_is_paged_and_takes_a_bounded_time(run):
    with Store.open(run) as store:
        found_, before = [], None
        while True:
            page = searching.search(store, searching.Wanted(purpose="train"), before, most=5)
            found_ += [row["id"] for row in page.rows]
            if (before := page.further) is None:
                break
        assert found_ == sorted(found_, reverse=True) and len(found_) == 16
        ticks = iter(range(10**6))
        page = searching.search(store, searching.Wanted(text="nowhere"), None, seconds=0.0, clock=lambda: next(ticks))
        assert not page.rows and page.further is None  # a window is always looked at, and here it is all


@NEEDED
def test_two_checkpoints_and_two_runs_side_by_side(tmp_path):
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    here = client(one, other)
    said = got(here, "/one/compare")
    assert (said["a"], said["b"]) == ("validation:0", "validation:1")  # the start, and the latest that was not taken back
    assert said["counts"] == {"fixed": 3, "broken": 0, "wrong": 4, "right": 1} and said["gain"]["value"] == 3 / 8
    assert {s["outcome"] for s in (row["sides"][1] for row in said["rows"])} == {"correct"} and len(said["rows"]) == 3
    assert len(got(here, "/one/compare?kind=fixed&arm=sort/2")["rows"]) == 1
    said = got(here, "/one/compare?a=validation:1&b=validation:2&with=other&kind=broken")
    assert said["counts"]["broken"] == 4 and all(a["task"] == b["task"] for a, b in (row["sides"] for row in said["rows"]))
    for bad in ("a=train:1", "a=validation:x", "a=validation"):
        assert here.get(f"/one/compare?{bad}").status_code == 400
    assert here.get("/one/compare?with=nobody").status_code == 404
    with Store.create(tmp_path / "far", META) as store:
        evaluate(store, 0, {ADD: "1111"}, seed=5)
        store.commit(Position("loop", 0, 0))
    assert "no task in common" in client(one, tmp_path / "far").get("/one/compare?with=far").text


@NEEDED
def test_lineage_leads_from_an_arm_to_failures_and_what_grew(run):
    with Store.open(run, write=True) as store:
        store.add_rows("grown", [(0, 2, CLAIM.id, 4, 2)])
        store.commit(Position("loop", 8, 2))
    text = client(run).get("/run/lineage?of=sort/2").text
    assert CLAIM.id[:12] in text and "after round 2" in text
    text = client(run).get(f"/run/lineage?of={CLAIM.id}").text
    assert question(SORT, 2).id[:12] in text and "s000002.000.000" in text  # the first answer to its parent that failed
    assert client(run).get("/run/lineage?of=nothing/1").status_code == 400


# Deciding.


@NEEDED
def test_labels_are_decided_once_and_the_second_person_is_told(run):
    here = client(run)
    (claim, mended) = got(here, "/run/labels")["open"]
    assert (claim["kind"], claim["claimed"], claim["example"]) == ("dispute", "6", "claimed 6, found 5")
    assert (mended["kind"], mended["before"], mended["claimed"]) == ("repair", "3", "4")
    form = {"kind": "dispute", "subject": CLAIM.id, "answer": "edit", "label": " 5\r\n", "who": "Ada"}
    reply = here.post("/run/decide", data=form)
    assert reply.status_code == 303 and "takes+this+in" in reply.headers["location"]
    (said,) = asked.listed(run, "dispute")
    assert (said.answer, said.label, said.who) == ("edit", "5", "Ada") and said.at > 0
    reply = here.post("/run/decide", data={**form, "answer": "reject", "who": "Bob"})
    assert reply.status_code == 409 and "Ada was first, and said edit" in reply.text.replace("&#39;", "'")
    assert [label["kind"] for label in got(here, "/run/labels")["open"]] == ["repair"]
    # Taken in: the row counts, though the file be gone.
    with Store.open(run, write=True) as store:
        store.add_rows("asked", [asked.row(said, 3, 9, MENDED.id)])
        store.commit(Position("loop", 9, 3))
    (run / "asked" / f"{said.id}.json").unlink()
    (decided,) = got(here, "/run/labels")["decided"]
    assert (decided["taken"], decided["made"], decided["said"]["who"]) == (3, MENDED.id, "Ada")
    assert here.post("/run/decide", data=form).status_code == 409
    assert asked.listed(run, "dispute") == [] and client(run).get("/run/labels").status_code == 200


def test_in_the_terminal_too_the_first_counts_and_the_second_is_told(run):
    def decide(*decisions: str):
        return CliRunner().invoke(program.app, ["decide", str(run), *decisions])

    dispute, repair = CLAIM.id[:12], question(SORT, 2).id[:12]
    assert dispute in decide().stdout and repair in decide().stdout
    refused = decide(f"{dispute}=accept", "nothing=reject")  # all are read before any is decided
    assert refused.exit_code == 2 and "no label begins with 'nothing'" in refused.stderr
    assert decide(f"{dispute}=accept").exit_code == 0
    second = decide(f"{dispute}=edit:5")
    assert second.exit_code == 2 and "was first, and said accept" in second.stderr and "yours was not kept" in second.stderr
    assert dispute not in decide().stdout and decide(f"{repair}=perhaps").exit_code == 2
    assert [said.answer for said in asked.listed(run, "dispute", "repair")] == ["accept"]


@NEEDED
def test_a_page_that_only_shows_decides_nothing(run):
    here = client(run, decides=False)
    assert here.post("/run/decide", data={"kind": "dispute", "subject": CLAIM.id, "answer": "accept"}).status_code == 403
    assert here.post("/run/order", data={"what": "extend", "budget": "1h"}).status_code == 403
    assert '<form class="orders"' not in here.get("/run").text and "Accept" not in here.get("/run/labels").text


@NEEDED
def test_orders_reach_the_run_or_say_that_nobody_is_there(run):
    here = client(run)
    for what in ("stop", "pause"):
        assert "Nobody works on this run" in here.post("/run/order", data={"what": what}).text
    assert here.post("/run/order", data={"what": "extend", "budget": "3steps", "who": "Ada"}).status_code == 303
    assert asked.listed(run, "extend")[0].answer == "3steps" and asked.extension(run) is None  # not before it is finished
    script = "import sys, signal\nfrom sharpen.store import Store\n"
    script += "with Store.open(sys.argv[1], write=True):\n print('here', flush=True)\n signal.sigwait([signal.SIGTERM])\n"
    script = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n{script}"
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(run)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert writer.stdout.readline() == b"here\n"
        assert got(here, "/run")["state"] == "running"
        assert here.post("/run/order", data={"what": "pause"}).status_code == 303 and got(here, "/run")["state"] == "pausing"
        assert here.post("/run/order", data={"what": "resume"}).status_code == 400  # it has one writer
        assert here.post("/run/order", data={"what": "stop"}).status_code == 303
        assert writer.wait(900) == 0
    finally:
        writer.kill()
        writer.stdout.close()
    assert got(here, "/run")["state"] == "stopped"
    assert asked.forget_pauses(run) is True


@NEEDED
def test_a_run_that_is_being_gone_on_with_is_not_begun_a_second_time(run):
    """Until the first process has the lock nobody seems to work on the run."""
    site = app.site_of([run], 8484)
    begun = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    site.runs["run"].started = begun
    try:
        with pytest.raises(UserError, match=f"Process {begun.pid} goes on with it already"):
            answers.gone_on(site.runs["run"])
    finally:
        begun.kill()
        begun.communicate()


@NEEDED
def test_a_report_is_offered_where_there_is_one(run):
    assert "/run/report" not in client(run).get("/run").text
    (run / "report.html").write_text("<p>done</p>")
    assert all("/run/report" in client(run, decides=decides).get("/run").text for decides in (True, False))


# What is not as it should be.


@NEEDED
def test_hostile_text_is_text_everywhere(tmp_path):
    arm = Arm(f"f{ATTACK}".replace("\ud800", ""), 1)
    long = "A" * 10_000_000
    with Store.create(tmp_path / "run", {**META, "recipe": ATTACK}) as store:
        task = Task(({"role": ATTACK, "content": ATTACK},), ATTACK, arm.family, 1, "train", operator=ATTACK)
        store.add_samples("train", 0, 1, [sample(task, "s000000.000.000", "wrong", ATTACK, long)])
        store.add_samples("train", 0, 1, [sample(task, f"s0{ATTACK[:40]}", "wrong", ATTACK)])
        store.add_arm_stats([ArmStats(0, arm, 1, 0, 0.0, 1)])
        store.add_step(0, "loop", 1, {"reward": 0.0})
        store.add_decision(0, Decision("better", ATTACK.replace("\ud800", ""), {}))
        store.add_evaluation(0, "validation", Evaluation({arm: (True, False)}))
        store.add_diagnosis(0, Diagnosis(ATTACK.replace("\ud800", ""), True, {}, ATTACK.replace("\ud800", "")))
        store.add_rows("disputes", [(1, task.id, "in dispute", ATTACK.replace("\ud800", ""))])
        store.add_rows("weaknesses", [(1, 0, ATTACK.replace("\ud800", ""), "skill", 1, 1, 0.0, 1.0, "[]")])
        store.commit(Position("loop", 1, 1))
    asked.put(tmp_path / "run", Asked("dispute", task.id, "edit", ATTACK.replace("\ud800", ""), "<script>", 1.0))
    here = client(tmp_path / "run")
    paths = [
        "",
        "/rollouts",
        "/rollouts?text=<script>",
        "/rollouts/s000000.000.000",
        "/labels",
        f"/lineage?of={task.id}",
        "/compare",
    ]
    for path in paths:
        reply = here.get(f"/run{path}")
        assert reply.status_code == 200, (path, reply.text[-300:])
        text = reply.text
        assert text.count("<script") == 1 and "<img" not in text and "\x1b" not in text and "\u202e" not in text, path
        assert len(text) < 400_000, path
    assert "9,998,000 more characters" in here.get("/run/rollouts/s000000.000.000").text
    assert here.get("/run/rollouts/<script>").text.count("<script") == 1


@NEEDED
def test_a_store_that_cannot_be_read_says_so_and_the_others_are_shown(tmp_path):
    good, newer, damaged, gone = (make(tmp_path / name) for name in ("good", "newer", "damaged", "gone"))
    with sqlite3.connect(newer / "run.db") as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    here = client(good, newer, damaged, gone)
    (damaged / "run.db").write_bytes(b"not a database" * 1000)
    (gone / "run.db").unlink()
    listed = {row["name"]: row.get("why", "") for row in got(here, "/")["runs"]}
    assert "newer version" in listed["newer"] and "damaged" in listed["damaged"] and "no run.db" in listed["gone"]
    assert listed["good"] == "" and here.get("/").status_code == 200
    for name, why in (("newer", "newer version"), ("damaged", "damaged"), ("gone", "no run.db")):
        assert why in here.get(f"/{name}").text and here.get(f"/{name}/rollouts").status_code == 400
    assert here.get("/good").status_code == 200


@NEEDED
def test_a_run_without_anything_yet_is_shown(tmp_path):
    with Store.create(tmp_path / "run", META):
        pass
    for path in ("", "/rollouts", "/compare", "/lineage", "/labels"):
        assert client(tmp_path / "run").get(f"/run{path}").status_code == 200


def test_runs_are_found_once_in_folders_and_by_links(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no run in runs/"):
        found.runs([])
    make(tmp_path / "runs" / "a")
    make(tmp_path / "runs" / "compare" / "runs" / "b")
    (tmp_path / "runs" / "latest").symlink_to("a")
    assert {path.name for path in found.runs([])} == {"a", "b"}
    assert [path.name for path in found.runs([Path("runs/latest"), Path("runs/a")])] in (["latest"], ["a"])
    with pytest.raises(UserError, match="holds no run"):
        found.runs([tmp_path / "runs" / "a" / "checkpoints"])


@NEEDED
def test_runs_of_one_name_have_addresses_of_their_own(tmp_path):
    runs = [make(tmp_path / place / "run") for place in ("a", "b")]
    assert list(app.site_of(runs, 1).runs) == ["run", "run-2"]


def test_a_port_in_use_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="--port"):
        listening("127.0.0.1", taken.getsockname()[1])
