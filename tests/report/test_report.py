"""The report: hand-worked intervals, hostile text, and the page as a real browser draws it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharpen.core import Arm, ArmStats, Decision, Evaluation, Rollout, Sample, Task, UserError, Verdict
from sharpen.estimate import Estimate, change, mean, share
from sharpen.guard.doctor import Diagnosis
from sharpen.report import charts, report
from sharpen.report.evidence import samples
from sharpen.store.store import Position, Store

FAMILIES = ("base_conversion", "chain_sum", "gcd", "letter_counting", "number_sorting", "spell_backward")
META = {
    "recipe": "quickstart",
    "recipe_text": "tasks      gym()\nteach      sec(temperature=0.4)\nobjective  grpo()\nlr         0.0003",
    "request": {"recipe": "quickstart"},
    "seed": 7,
    "argv": ["sharpen", "run", "quickstart", "--seed", "7"],
    "student": "tiny",
    "threads": 2,
    "versions": {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0", "numpy": "2.4.0"},
}


def sample(task: Task, name: str, outcome: str, text: str, group: int = 0, stop: str = "end") -> Sample:
    """A judged attempt of a prompt of four tokens and a response of six."""
    tokens = np.arange(10, dtype=np.int32)
    reward = None if outcome == "unscorable" else float(outcome == "correct")
    rollout = Rollout(task, tokens, tokens >= 4, np.full(10, -0.5, np.float32), (text,), stop, 0, 1, name)
    return Sample(rollout, Verdict(outcome, reward, {}, "", "exact"), group)


def question(arm: Arm, split: str, i: int) -> Task:
    prompt = (
        {"role": "user", "content": f"{split} problem {i} of {arm.family} at level {arm.level}: what is {i} + {arm.level}?"},
    )
    return Task(prompt, str(i + arm.level), arm.family, arm.level, split)


def attempts(store: Store, purpose: str, step: int, number: int, solved: dict[Arm, list[bool]]) -> None:
    """An evaluation, with the rollouts behind it."""
    split = "validation" if purpose == "validation" else "test"
    for arm, row in solved.items():
        samples = []
        for i, right in enumerate(row):
            task = question(arm, split, i)
            said = task.answer if right else str(i * 3 + 1)
            text = f"{i} + {arm.level} = {said}<answer>{said}</answer>" if right or i % 5 else "I am not sure, so I"
            outcome = "correct" if right else "wrong" if i % 5 else "malformed"
            samples.append(
                sample(task, f"{purpose}.{number}.{arm}.{i:04d}", outcome, text, i, "end" if right or i % 5 else "length")
            )
        store.add_samples(purpose, step, number, samples)
    store.add_evaluation(number, purpose, Evaluation({arm: tuple(row) for arm, row in solved.items()}))


def example(directory, families=FAMILIES, levels=4, tests=64, validation=32, rounds=14, per_round=20, finished=True) -> None:
    """A whole run, made up: one family falls at one level, hardest levels stay unsolved, each fourth round is rolled back."""
    rng = np.random.default_rng(3)
    arms = [Arm(f, level) for f in families for level in range(1, levels + 1)]
    ease = {arm: 2.6 - 1.35 * arm.level + 0.5 * (families.index(arm.family) % 3) for arm in arms}
    gain = {arm: -1.4 if arm == Arm("gcd", 2) else max(0.0, 1.5 - 0.25 * abs(arm.level - 2)) for arm in arms}

    def solved(progress: float, n: int, luck: dict[Arm, np.ndarray]) -> dict[Arm, list[bool]]:
        # One luck per task, shared by all evaluations, makes them paired as real ones are.
        return {a: [bool(u < 1 / (1 + np.exp(-ease[a] - progress * gain[a]))) for u in luck[a][:n]] for a in arms}

    luck = {split: {a: rng.random(max(tests, validation)) for a in arms} for split in ("test", "validation")}
    with Store.create(directory, META) as store:
        for step in range(40):
            store.add_step(step, "warmup", 0, {"loss": 2.0 / (step + 1), "lr": 1e-3})
            store.add_timing("warmup", 1.1, step)
        attempts(store, "before", 40, 0, solved(0.0, tests, luck["test"]))
        attempts(store, "validation", 40, 0, solved(0.0, validation, luck["validation"]))
        store.add_decision(0, Decision("better", "accepted: every round is kept", {"mean": 0.0}))
        progress, step = 0.0, 40
        for number in range(1, rounds + 1):
            accepted = number % 4 != 3
            answer = "better" if accepted else "worse"
            trial = number / rounds * (1.0 if accepted else 0.6)
            for _ in range(per_round):
                done = (step - 40) / (rounds * per_round)
                noise = rng.normal(size=6)
                stats = {
                    "reward": 0.35 + 0.3 * done + 0.03 * noise[0],
                    "silent": min(1, max(0, 0.45 - 0.1 * done + 0.05 * noise[1])),
                }
                stats |= {
                    "correct": stats["reward"],
                    "truncated": max(0, 0.06 - 0.05 * done + 0.01 * noise[2]),
                    "malformed": 0.02,
                }
                stats |= {
                    "mismatch": 0.004 + 0.001 * abs(noise[3]),
                    "tokens": int(256 * (22 + noise[4])),
                    "rollouts": 256,
                    "unscorable": 0.0,
                }
                stats |= {
                    "grad_norm": 0.8 + 0.1 * noise[5] if step != 60 else None,
                    "loss": 0.01,
                    "lr": 3e-4,
                    "temperature": 1.0,
                }
                store.add_step(step, "loop", number, stats)
                weights = np.array([np.exp(-((a.level - 1 - 2.5 * done) ** 2)) for a in arms])
                counts = rng.multinomial(256, weights / weights.sum())
                store.add_arm_stats(
                    ArmStats(step, a, int(n), int(n * 0.4), 0.3 * n, int(n) * 22)
                    for a, n in zip(arms, counts, strict=True)
                    if n
                )
                task = question(arms[step % len(arms)], "train", step)
                store.add_samples("train", step, number, [sample(task, f"s{step:06d}.{j}", "wrong", "?", 0) for j in range(2)])
                for phase, seconds in (
                    ("generate", 0.9),
                    ("verify", 0.1),
                    ("learn", 0.7),
                    ("curriculum", 0.01),
                    ("store", 0.02),
                ):
                    store.add_timing(phase, seconds, step)
                step += 1
            progress = trial if accepted else progress
            attempts(store, "validation", step, number, solved(trial, validation, luck["validation"]))
            store.add_timing("evaluate", 1.5, step)
            numbers = {"mean": 0.021 if accepted else -0.004, "standard_error": 0.011, "worst": -0.03125, "worst_z": -1.0}
            reason = (
                "accuracy rose by 2.10% and no arm fell beyond noise" if accepted else "gcd/2 fell by 18.8%, more than 12.1%"
            )
            store.add_decision(number, Decision(answer, f"{'accepted' if accepted else 'rolled back'}: {reason}", numbers))
        if finished:
            attempts(store, "test", step, rounds, solved(progress, tests, luck["test"]))
            store.add_diagnosis(
                step, Diagnosis("mismatch grows", False, {"mismatch": 0.0061, "limit": 0.005}, "Use precision=fp32.")
            )
        store.commit(Position("done" if finished else "loop", step, rounds, finished=finished))


# What the intervals are.


def test_share_is_wilsons():
    # 8 of 10: (0.8 + z²/20 ± z sqrt(0.016 + z²/400)) / (1 + z²/10), z = 1.96.
    assert share(8, 10) == Estimate(0.8, pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4), 10)
    assert share(0, 0) is None


def test_change_by_hand():
    # 5 gained, 1 lost of 20: centre 4/22, half 1.96 sqrt(6 + 1 - 16/22) / 22 = 0.2231.
    found = change(5, 1, 20)
    assert found is not None and found.value == 0.2 and found.n == 20
    assert (found.low, found.high) == pytest.approx((0.181818 - 0.223128, 0.181818 + 0.223128), abs=1e-5)
    mirrored = change(1, 5, 20)
    assert mirrored is not None and (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))
    assert change(0, 0, 0) is None


@pytest.mark.parametrize("gained, lost, n", [(0, 0, 1), (1, 0, 1), (50, 0, 50), (0, 50, 50), (0, 0, 50)])
def test_change_holds_its_value_and_stays_in_range(gained, lost, n):
    found = change(gained, lost, n)
    assert found is not None and -1 <= found.low <= found.value <= found.high <= 1 and found.low < found.high


def test_mean_by_hand():
    parts = [Estimate(0.5, 0.3, 0.7, 10), None, Estimate(0.1, 0.0, 0.4, 30)]
    # (0.5 + 0.1) / 2; below sqrt(0.2² + 0.1²) / 2, above sqrt(0.2² + 0.3²) / 2.
    assert mean(parts) == Estimate(0.3, pytest.approx(0.3 - 0.111803, abs=1e-6), pytest.approx(0.3 + 0.180278, abs=1e-6), 40)
    assert mean(parts[:2]) == parts[0]
    assert mean([None]) is None and mean([]) is None


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    before, after, n, runs = rng.uniform(0.02, 0.98, 12), rng.uniform(0.02, 0.98, 12), 32, 1500
    held = {"share": 0, "change": 0}
    for _ in range(runs):
        luck = rng.random((12, n))
        was, became = luck < before[:, None], luck < after[:, None]
        level = mean([share(int(k), n) for k in became.sum(1)])
        pairs = zip((became & ~was).sum(1), (was & ~became).sum(1), strict=True)
        gain = mean([change(int(g), int(lost), n) for g, lost in pairs])
        assert level and gain
        held["share"] += level.low <= after.mean() <= level.high
        held["change"] += gain.low <= (after - before).mean() <= gain.high
    assert all(0.93 * runs < count < 0.985 * runs for count in held.values()), held


# The figures.


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "example"
    example(directory)
    return directory


def tiny(directory: Path, before: dict[Arm, str], after: dict[Arm, str] | None, **more: str) -> Path:
    """A run of nothing but its test evaluations, each arm's given as 1 for solved and 0 for not."""
    with Store.create(directory, META | more) as store:
        attempts(store, "before", 0, 0, {arm: [c == "1" for c in row] for arm, row in before.items()})
        if after is not None:
            attempts(store, "test", 0, 0, {arm: [c == "1" for c in row] for arm, row in after.items()})
        store.commit(Position("done", 0, 0, finished=after is not None))
    return directory


def test_summary_by_hand(tmp_path):
    a, b = Arm("a", 1), Arm("b", 2)
    found = report.summary(tiny(tmp_path / "r", {a: "1000", b: "11"}, {a: "1110", b: "01"}))
    # Means over arms: (1/4 + 1) / 2 before, (3/4 + 1/2) / 2 after; a gains two of four, b loses one of two.
    assert found["before"]["accuracy"] == 0.625 and found["after"]["accuracy"] == 0.625
    assert found["before"]["n"] == 6 and found["before"]["arms"]["a/1"]["accuracy"] == 0.25
    arms = found["difference"]["arms"]
    assert arms["a/1"]["accuracy"] == 0.5 and arms["b/2"]["accuracy"] == -0.5 and found["difference"]["accuracy"] == 0.0
    own = change(2, 0, 4)
    assert own and arms["a/1"]["ci95"] == [own.low, own.high] and arms["a/1"]["n"] == 4
    assert found["difference"]["fell"] == [] and found["rounds"] == [] and found["finished"] is True
    assert found["tokens"] == 12 * 6 and found["seed"] == 7 and found["recipe"] == "quickstart"


def test_summary_of_a_whole_run(run):
    found = report.summary(run)
    json.dumps(found, allow_nan=False)
    assert found["difference"]["accuracy"] == pytest.approx(found["after"]["accuracy"] - found["before"]["accuracy"])
    assert found["difference"]["fell"] == ["gcd/2"] and len(found["difference"]["rose"]) > 10
    # The start is compared with, not decided: it is no round.
    assert [r["round"] for r in found["rounds"]] == list(range(1, 15))
    assert [r["round"] for r in found["rounds"] if not r["accepted"]] == [3, 7, 11]
    assert found["seconds"] == pytest.approx(40 * 1.1 + 280 * 1.73 + 14 * 1.5) and found["steps"] == 280
    assert all(len(found[k]["arms"]) == 24 and found[k]["n"] == 24 * 64 for k in ("before", "after"))


def test_an_unscorable_attempt_is_no_pair(tmp_path):
    arm = Arm("a", 1)
    tasks = [question(arm, "test", i) for i in range(3)]
    with Store.create(tmp_path / "r", META) as store:
        for purpose, outcomes in (("before", ("wrong", "wrong", "wrong")), ("test", ("correct", "unscorable", "wrong"))):
            rows = [sample(t, f"{purpose}.{i}", o, "x", i) for i, (t, o) in enumerate(zip(tasks, outcomes, strict=True))]
            store.add_samples(purpose, 0, 0, rows)
            store.add_evaluation(0, purpose, Evaluation({arm: tuple(o == "correct" for o in outcomes)}))
        store.commit(Position("done", 0, 0, finished=True))
    assert report.summary(tmp_path / "r")["difference"]["arms"]["a/1"] | {"ci95": None} == {
        "accuracy": 0.5,
        "ci95": None,
        "n": 2,
    }
    text = report.render(tmp_path / "r").read_text()
    assert "2 of 3 test tasks were judged both times" in text and "1 of 6 test attempts were unscorable" in text


def test_what_is_not_finite_becomes_null(tmp_path):
    with Store.create(tmp_path / "r", META) as store:
        store.add_step(0, "loop", 1, {"reward": math.nan, "mismatch": math.inf, "silent": 0.5, "staleness": 2.0})
        store.add_decision(1, Decision("worse", "rolled back", {"worst_z": math.nan, "mean": 0.5}))
        store.commit(Position("loop", 1, 1))
    found = report.summary(tmp_path / "r")
    assert found["rounds"][0]["numbers"] == {"worst_z": None, "mean": 0.5}
    text = report.render(tmp_path / "r").read_text()
    assert "Silent groups" in text and "Staleness" in text and "Training reward" not in text  # nothing of it can be drawn


# The page where parts are missing.


def test_a_run_that_has_only_begun(tmp_path):
    with Store.create(tmp_path / "r", META):
        pass
    found = report.summary(tmp_path / "r")
    assert found["before"] is found["after"] is found["difference"] is None and found["rounds"] == [] and not found["finished"]
    assert "Not measured yet" in report.render(tmp_path / "r").read_text()


def test_an_unfinished_run_shows_validation_and_samples(tmp_path):
    example(tmp_path / "r", families=("gcd", "chain_sum"), tests=8, validation=16, rounds=3, per_round=2, finished=False)
    text = report.render(tmp_path / "r").read_text()
    assert "the run is not finished" in text and "On the validation stream" in text and "by round 2" in text
    assert "not tried yet" in text and "Newly solved" not in text


def test_one_arm_zero_rounds_and_an_arm_without_tasks(tmp_path):
    one, none = Arm("mine", 0), Arm("mine", 1)
    found = report.summary(tiny(tmp_path / "r", {one: "0000000000", none: ""}, {one: "1111111111", none: ""}))
    assert found["before"]["arms"]["mine/1"] == {"accuracy": None, "ci95": None, "n": 0}
    assert found["before"]["accuracy"] == 0.0 and found["after"]["accuracy"] == 1.0
    text = report.render(tmp_path / "r").read_text()
    assert "The model got better." in text and "No round has been evaluated yet" in text


@pytest.mark.parametrize(
    "after, word",
    [
        ("0" * 40 + "1" * 40, "No difference shown."),
        ("0" * 40 + "0" * 10 + "1" * 30, "The model got worse."),
        ("1" * 10 + "0" * 30 + "1" * 40, "The model got better."),
    ],
)
def test_the_verdict_says_what_the_interval_says(tmp_path, after, word):
    arm = Arm("a", 1)
    tiny(tmp_path / "r", {arm: "0" * 40 + "1" * 40}, {arm: after})
    assert f"<h1>{word}</h1>" in report.render(tmp_path / "r").read_text()


def test_a_run_that_kept_nothing_says_so(tmp_path):
    arm = Arm("a", 1)
    tiny(tmp_path / "r", {arm: "10"}, {arm: "10"})
    none, unclear = "Every round was rolled back", "No round was shown to be better"
    # The honest twin keeps its third round.
    for number, answer, told in ((1, "worse", none), (2, "unclear", unclear), (3, "better", "")):
        with Store.open(tmp_path / "r", write=True) as store:
            store.add_step(number, "loop", number, {})
            store.add_decision(number, Decision(answer, "because"))
            store.commit(Position("done", number, number, finished=True))
        page = report.render(tmp_path / "r").read_text()
        assert [text for text in (none, unclear) if text in page] == ([told] if told else [])
        assert ("unclear (1)" in page and "1 unclear, " in page) == (number > 1)


def test_samples_take_turns_over_families_and_are_the_same_every_time(run):
    with Store.open(run) as store:
        first, again = (samples(store, 6) for _ in range(2))
    assert first == again
    solved = [s for s in first if (s["was"], s["became"]) == (0, 1)]
    assert [s["family"] for s in solved] == sorted(FAMILIES)
    assert all(s["first"]["outcome"] != "correct" and s["last"]["outcome"] == "correct" for s in solved)
    assert all(sum((s["was"], s["became"]) == k for s in first) <= 6 for k in ((0, 0), (0, 1), (1, 0), (1, 1)))


def test_a_test_question_in_training_is_told(tmp_path):
    tiny(tmp_path / "r", {Arm("a", 1): "10"}, {Arm("a", 1): "11"})
    with Store.open(tmp_path / "r", write=True) as store:
        leaked = question(Arm("a", 1), "test", 0)
        store.add_tasks([Task(leaked.prompt, "another answer", "a", 1, "train")])
        store.commit(Position("done", 0, 0, finished=True))
    assert "Questions in both splits, word for word: 1." in report.render(tmp_path / "r").read_text()


def test_a_page_that_cannot_be_written_says_so(run, tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        report.render(run, tmp_path / "missing" / "report.html")
    with pytest.raises(UserError):
        report.summary(tmp_path)


# Charts.


@pytest.mark.parametrize("low, high", [(0, 1), (0.31, 0.38), (-3, 1e6), (1e-14, 3e-14), (5, 5), (0, 0)])
def test_ticks_are_round_and_cover(low, high):
    found = charts.ticks(low, high)
    slack = 1e-9 * max(abs(low), abs(high))
    assert found[0] <= low + slack and found[-1] >= high - slack and 2 <= len(found) <= 8
    step = (found[1] - found[0]) / 10 ** math.floor(math.log10(found[1] - found[0]) + 1e-9)
    assert any(step == pytest.approx(m) for m in (1, 2, 5))


def test_an_axis_of_small_shares_has_no_two_equal_labels():
    assert [charts.level(v) for v in charts.ticks(0.0, 0.02)] == [
        "0\u202f%",
        "0.5\u202f%",
        "1\u202f%",
        "1.5\u202f%",
        "2\u202f%",
    ]


def test_a_plot_is_drawn_where_the_numbers_are():
    text = str(charts.plot([charts.Line([(0, 0.0), (1, 1.0)], "data")], label="x", height=134, bounds=(0, 1)))
    assert 'd="M0.0 110.0L1000.0 10.0"' in text  # 134 high: 10 above, 24 below
    assert "Nothing measured" in charts.plot([], label="x")
    constant = str(charts.plot([charts.Line([(0, 0.1 + 0.2), (1, 0.3)], "data")], label="x"))
    assert "nan" not in constant


# Hostile text, and the page in a browser.

ATTACK = (
    "</pre></script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><svg onload=alert(1)>"
)
STAMP = "\u202egnp.exe\x00\x1b[2J\ud800"


def hostile(directory: Path) -> None:
    """A run whose every text attacks the page, and one answer of 100,000 characters."""
    arm = Arm(f"f{ATTACK}", 1)
    task = Task(
        ({"role": ATTACK, "content": [{"type": ATTACK}, {"type": "text", "text": ATTACK}]},), ATTACK, *("f" + ATTACK, 1), "test"
    )
    long = Task(({"role": "user", "content": "long"},), None, arm.family, arm.level, "test")
    meta = META | {
        "recipe": ATTACK,
        "recipe_text": ATTACK,
        "argv": ["sharpen", ATTACK],
        "versions": {ATTACK: ATTACK, "w" * 300: "w" * 300},
    }
    with Store.create(directory, meta) as store:
        for purpose in ("before", "test"):
            rows = [sample(task, f"{purpose}.0", "wrong", ATTACK + STAMP), sample(long, f"{purpose}.1", "wrong", "A" * 100_000)]
            rows[0] = dataclasses.replace(rows[0], verdict=Verdict("wrong", 0.0, {}, ATTACK + STAMP, ATTACK))
            store.add_samples(purpose, 0, 0, rows)
            store.add_evaluation(0, purpose, Evaluation({arm: (False, False)}))
        store.add_step(0, "loop", 1, {"reward": 0.5})
        store.add_arm_stats([ArmStats(0, arm, 8, 4, 2.0, 80)])
        store.add_timing(ATTACK, 1.0, 0)
        store.add_decision(1, Decision("better", ATTACK, {ATTACK: 1.0}))
        store.add_diagnosis(0, Diagnosis(ATTACK, True, {ATTACK: 1.0}, ATTACK))
        store.commit(Position("done", 1, 1, finished=True))


class Elements(HTMLParser):
    """Counts elements and inline event handlers, as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_hostile_text_stays_text(tmp_path, run):
    hostile(tmp_path / "r")
    page = report.render(tmp_path / "r")
    text = page.read_text()
    found, twin = Elements(), Elements()
    found.feed(text)
    twin.feed(report.render(run).read_text())
    assert not {"script", "img"} & {*found.tags, *twin.tags} and not found.handlers + twin.handlers
    assert text.count("&lt;script&gt;") > 10 and "\u202e" not in text and "\x00" not in text and "⟨U+202E⟩" in text
    assert "98,000 more characters" in text and "A" * 2001 not in text and "A" * 2000 in text
    assert page.stat().st_size < 1_000_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Callable[..., Any]]:
    """Sends WebDriver commands to a headless Chromium."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if not driver or not chromium:
        pytest.skip("needs Chromium: apt-get install chromium chromium-driver")
    folder = tmp_path_factory.mktemp("chromium")
    with open(folder / "log", "w+") as log, subprocess.Popen([driver, "--port=0"], stdout=log, stderr=log) as process:
        try:
            while not (port := re.search(r"started successfully on port (\d+)", (folder / "log").read_text())):
                assert process.poll() is None, f"no driver: {(folder / 'log').read_text()}"
                time.sleep(0.05)  # noqa: TID251 - between two looks

            def ask(path: str, method: str = "POST", **body: Any) -> Any:
                data = json.dumps(body).encode() if method == "POST" else None
                request = urllib.request.Request(f"http://127.0.0.1:{port[1]}/session{path}", data, method=method)
                with urllib.request.urlopen(request, timeout=900) as answer:
                    return json.load(answer)["value"]

            arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
            arguments += ["--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'profile'}"]
            options = {"binary": chromium, "args": arguments}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            session = ask("", capabilities={"alwaysMatch": wanted})["sessionId"]
            yield lambda path, *args, **kwargs: ask(f"/{session}{path}", *args, **kwargs)
            ask(f"/{session}", "DELETE")
        finally:
            process.terminate()


def visit(browser, page: Path) -> tuple[list[str], list[str]]:
    """Open a page; returns its console messages and every address it asked for."""
    browser("/url", url="about:blank")  # else the browser's own start page may still be loading
    for kind in ("browser", "performance"):
        browser("/se/log", type=kind)
    browser("/url", url=page.as_uri())
    console = [f"{entry['level']} {entry['message']}" for entry in browser("/se/log", type="browser")]
    events = [json.loads(entry["message"])["message"] for entry in browser("/se/log", type="performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return console, [url for url in asked if not url.startswith("chrome://")]


def ask_page(browser, script: str) -> Any:
    return browser("/execute/sync", script=script, args=[])


def test_a_browser_draws_every_chart(browser, run):
    page = report.render(run)
    console, asked = visit(browser, page)
    assert console == [] and asked == [page.as_uri()]
    drawn = """return [...document.querySelectorAll('main svg')].map(s => {
        const box = s.getBoundingClientRect(), shapes = [...s.querySelectorAll('path, line, rect, circle')];
        return {axis: s.classList.contains('axis'), width: box.width, height: box.height, shapes: shapes.length,
                empty: [...s.querySelectorAll('path')].filter(p => !(p.getTotalLength() > 0)).length};})"""
    charts_found = ask_page(browser, drawn)
    assert len(charts_found) > 20
    assert all(c["empty"] == 0 and (c["axis"] or c["shapes"] > 0) for c in charts_found)
    sizes = "return [...document.querySelectorAll('svg.canvas, svg.heat, svg.stack')].map(s => s.getBoundingClientRect().width)"
    assert len(widths := ask_page(browser, sizes)) >= 15 and min(widths) > 200
    bars = "return [...document.querySelectorAll('svg.stack rect')].map(r => r.getBoundingClientRect().width)"
    total = ask_page(browser, "return document.querySelector('svg.stack').getBoundingClientRect().width")
    assert sum(ask_page(browser, bars)) == pytest.approx(total, rel=0.01)  # the phases fill the bar
    assert ask_page(browser, "return document.querySelectorAll('svg.heat rect').length") == 24 * 14
    assert ask_page(browser, "return document.querySelectorAll('.map td').length") == 3 * 24


def test_it_fits_a_phone_and_turns_dark(browser, run):
    visit(browser, report.render(run))
    metrics = {"width": 375, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    browser("/goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=metrics)
    assert ask_page(browser, "return [innerWidth, document.documentElement.scrollWidth]") == [375, 375]
    background = "return getComputedStyle(document.body).backgroundColor"
    for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 27)")):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser("/goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"features": features})
        assert ask_page(browser, background) == colour
    browser("/goog/cdp/execute", cmd="Emulation.clearDeviceMetricsOverride", params={})


def test_hostile_text_does_nothing_in_a_browser(browser, tmp_path):
    hostile(tmp_path / "r")
    page = report.render(tmp_path / "r")
    console, asked = visit(browser, page)
    assert console == [] and asked == [page.as_uri()]
    assert ask_page(browser, "return document.title") == "r · No difference shown. · sharpen"
    assert ask_page(browser, "return document.querySelectorAll('script, img').length") == 0
    for width in (1085, 1280, 375):  # a name without a gap is no reason to scroll, beside a scroll bar neither
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        browser("/goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=metrics)
        assert ask_page(browser, "const e = document.documentElement; return e.scrollWidth <= e.clientWidth"), width
    browser("/goog/cdp/execute", cmd="Emulation.clearDeviceMetricsOverride", params={})


def test_the_page_forbids_what_escaping_lets_through(browser, tmp_path, run):
    """The second lock holds by itself: the same attack, put into the page unescaped, neither runs nor loads anything."""
    page = tmp_path / "broken.html"
    page.write_text(report.render(run).read_text().replace("</main>", ATTACK + "<img src='http://127.0.0.1:9/x.png'></main>"))
    console, _ = visit(browser, page)
    assert ask_page(browser, "return [document.title.includes('owned'), document.querySelectorAll('img').length]") == [False, 2]
    for refused in ("x.png", "inline script", "inline event handler"):
        assert any(refused in line and "Content Security Policy" in line for line in console), console


def test_the_flow_between_attempts_by_hand(tmp_path):
    """Ten tasks before, two attempts each: 5 kept, 1 spoilt, 2 mended, 2 stuck."""
    arm = Arm("f", 1)
    ways = [(1, 1)] * 5 + [(1, 0)] + [(0, 1)] * 2 + [(0, 0)] * 2
    with Store.create(tmp_path / "run", META) as store:
        made = []
        for i, (first, second) in enumerate(ways):
            one = sample(question(arm, "test", i), f"t{i}", "correct" if second else "wrong", "b" if second else "a")
            parts = {"turn 1": float(first), "turn 2": float(second)}
            rollout = dataclasses.replace(one.rollout, turns=("b" if first else "a", one.rollout.response))
            made.append(dataclasses.replace(one, rollout=rollout, verdict=dataclasses.replace(one.verdict, parts=parts)))
        store.add_samples("before", -1, 0, made)
        store.add_evaluation(0, "before", Evaluation({arm: tuple(bool(b) for _, b in ways)}))
        store.commit(Position("done", 0, 0, finished=True))
    found = report.summary(tmp_path / "run")["turns"]
    assert found["after"] is None and [e["value"] for e in found["before"]["accuracy"]] == [0.6, 0.7]
    (flow,) = found["before"]["between"]
    assert (flow["right_to_right"], flow["right_to_wrong"], flow["wrong_to_right"], flow["wrong_to_wrong"]) == (5, 1, 2, 2)
    assert flow["copies"]["value"] == 0.7
    page = report.render(tmp_path / "run").read_text()
    assert page.count('class="f-') == 4 and "wrong, then right: 2 of 10" in page and "2 mended, 1 spoilt of 10" in page
