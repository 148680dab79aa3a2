"""Runs that last: commits by time, more budget, inputs that change, bytes that flip, directories from elsewhere."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from test_resume import SETTINGS, assert_same, in_turn, rows, run_cases, weights
from typer.testing import CliRunner

from sharpen import report
from sharpen.cli import app
from sharpen.core import UserError
from sharpen.loop import inputs, loop, trust
from sharpen.loop.due import Due
from sharpen.store import Store
from sharpen.terminal import places, terminal

MICRO = [s for s in SETTINGS if not s.startswith("round_steps")]


# Commits by time.


def test_commits_by_time_change_nothing_and_can_be_killed_at(tmp_path):
    """A commit after every step of six in two rounds of three: in the warm-up, between two measurements, in a round, at its end
    before it is measured."""
    settings = [f"recipe={Path(__file__).with_name('asking.py')}", *MICRO, "round_steps=3"]
    # Commits 1 to 6 are the warm-up's, 7 follows the test split, 8 is the start, 9 to 11 the first round's steps, 12 its end.
    kills = ["committed:3", "committed:7", "saved:10", "committed:11", "written:13"]
    case = in_turn(kills)
    said = run_cases(tmp_path, [*settings, "commit_s=1"], [case])
    assert said.count("killed 1") == len(kills), said
    assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))
    run_cases(tmp_path / "never", settings, [])
    often, never = rows(tmp_path / "whole"), rows(tmp_path / "never" / "whole")
    assert (len(often.pop("commits")), len(never.pop("commits"))) == (17, 4)
    assert often == never and weights(tmp_path / "whole") == weights(tmp_path / "never" / "whole")


def test_a_commit_is_due_by_the_clock_and_rarer_where_it_is_dear():
    now = [0.0]
    due = Due(120, lambda: now[0])
    said = []
    for now[0] in (119.0, 120.0, 121.0):
        said.append(due())
    due.committed(began=120.0)  # it took a second
    now[0] = 240.9
    said.append(due())
    now[0] = 300.0
    due.committed(began=290.0)  # ten seconds: at most a fiftieth of the time goes into commits
    now[0] = 799.0
    said.append(due())
    now[0] = 800.0
    said.append(due())
    assert said == [False, True, True, False, False, True]


# A run of a user's own: a recipe in a file, and tasks in one.


def request(place: Path, name: str = "run", budget: str = "2steps", *more: str) -> loop.Request:
    settings = (*MICRO, "round_steps=2", "guard=always", *more)
    return loop.Request(str(place / "mine.py"), settings, 5, budget, None, str(place / "tasks.jsonl"), place / name)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("made")
    shutil.copy(Path(__file__).with_name("lasting_recipe.py"), place / "mine.py")
    lines = [{"prompt": f"Say {i}", "answer": str(i), "solution": f"<answer>{i}</answer>"} for i in range(60)]
    (place / "tasks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    loop.start(request(place), terminal.Quiet())
    return place


@pytest.fixture
def run(made, tmp_path) -> Path:
    """The finished run, copied; the files it names are put back as they were."""
    files = {path: path.read_bytes() for path in made.iterdir() if path.is_file()}
    shutil.copytree(made / "run", tmp_path / "run")
    yield tmp_path / "run"
    for path, content in files.items():
        path.write_bytes(content)


def resume(directory: Path, **how) -> None:
    loop.resume(directory, terminal.Quiet(), **how)


@pytest.mark.parametrize(
    ("name", "said"),
    [("mine.py", r"recipe: .*mine\.py has changed"), ("tasks.jsonl", r"tasks: .*tasks\.jsonl has changed")],
)
def test_a_changed_file_is_named_and_refused_or_accepted_and_recorded(made, run, name, said):
    resume(run)  # as it was
    extra = "\n# more\n" if name == "mine.py" else json.dumps({"prompt": "more", "answer": "1"}) + "\n"
    with (made / name).open("a") as file:
        file.write(extra)
    before = rows(run)
    with pytest.raises(UserError, match=rf"not all is what it was.*\n.*{said}(.|\n)*--accept-changes"):
        resume(run, more="1steps")
    assert rows(run) == before
    resume(run, more="1steps", accept=True)
    with Store.open(run) as store:
        (change,) = store.meta()["changes"]
        assert change["step"] == 8 and name in change["changes"][0]
    resume(run)  # what was accepted is what it is made of now


def test_every_kind_of_file_that_tasks_are_read_from_is_hashed(tmp_path):
    for i, end in enumerate((*places.KINDS, ".jsonl.gz")):
        (tmp_path / f"{i}{end}").write_text("x")
    assert len(dict(inputs.digests("tasks", tmp_path))) == len(places.KINDS) + 1


def test_a_file_that_is_gone_is_named(made, run):
    (made / "tasks.jsonl").unlink()
    with pytest.raises(UserError, match=r"tasks\.jsonl is gone"):
        resume(run)


def meta(run: Path, **changes) -> None:
    with sqlite3.connect(run / "run.db") as db:
        for key, value in changes.items():
            db.execute("UPDATE meta SET value = ? WHERE key = ?", (json.dumps(value), key.replace("__", ".")))


def test_versions_and_the_chat_template_count_and_a_third_number_is_only_said(run, capsys):
    with Store.open(run) as store:
        then = store.meta()
    assert set(then["versions"]) >= {"python", "sharpen", "torch", "transformers"}
    major, minor, _ = then["versions"]["transformers"].split(".", 2)
    meta(run, versions=then["versions"] | {"transformers": f"{major}.{minor}.99"})
    with terminal.Terminal() as progress:
        loop.resume(run, progress)
    assert f"transformers was {major}.{minor}.99" in capsys.readouterr().err
    meta(run, versions=then["versions"] | {"sharpen": "0.0.1", "torch": "1.0.0"})
    with pytest.raises(UserError, match=r"sharpen was 0.0.1, and is(.|\n)*torch was 1.0.0, and is"):
        resume(run)
    meta(run, versions=then["versions"], made_of=then["made_of"] | {"chat template": "other"})
    with pytest.raises(UserError, match="chat template has changed"):
        resume(run)


def test_a_model_is_hashed_in_full_and_known_again_by_its_times(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def hashed() -> str:
        (digest,) = inputs.known_digests([model / "model.safetensors"], large=10, settled=-1.0).values()
        return digest

    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "README.md").write_text("notes may change")
    (model / "model.safetensors").write_bytes(b"x" * 1000)
    first = dict(inputs.digests("model", model))
    assert [Path(key).name for key in first] == ["config.json", "model.safetensors"]
    assert not inputs.cache().exists()  # small files are read again
    hashed()
    known = json.loads(inputs.cache().read_text())
    assert list(known.values()) == [first[f"model: {model / 'model.safetensors'}"]]
    inputs.write(inputs.cache(), dict.fromkeys(known, "from the cache"))
    assert hashed() == "from the cache"
    (model / "model.safetensors").write_bytes(b"x" * 999 + b"y")  # the same size
    assert hashed() != "from the cache"
    second = dict(inputs.digests("model", model))
    assert inputs.changed(first, second) == [f"model: {model / 'model.safetensors'} has changed"]
    shutil.copytree(model, tmp_path / "copy")
    assert sorted(dict(inputs.digests("model", tmp_path / "copy")).values()) == sorted(second.values())


# Bytes that flip.


def test_every_flipped_file_of_a_checkpoint_is_found_at_resume_and_export(made, run, tmp_path):
    with Store.open(run) as store:
        checkpoint = store.checkpoint_path(store.last_commit().accepted)
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    assert {"model.safetensors", "optimizer.safetensors", "policy.json", "config.json"} <= {path.name for path in files}
    for number, file in enumerate(files):
        content = file.read_bytes()
        file.write_bytes(
            content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 4]) + content[len(content) // 2 + 1 :]
        )
        done = CliRunner().invoke(app, ["export", str(run), str(tmp_path / f"model{number}")])
        assert done.exit_code == 2 and file.name in done.output and not (tmp_path / f"model{number}").exists(), done.output
        if file.name in ("model.safetensors", "policy.json"):
            before = rows(run)
            with pytest.raises(UserError, match=f"{file.name} is damaged"):
                resume(run, more="1steps")
            assert rows(run) == before  # nothing of an extension is recorded
        file.write_bytes(content)
    assert CliRunner().invoke(app, ["export", str(run), str(tmp_path / "model")]).exit_code == 0


# More budget.


@pytest.mark.parametrize("budget", ["3steps", "100tokens"])
def test_a_finished_run_goes_on_beyond_its_budget(run, budget):
    with pytest.raises(UserError, match="not a number and a unit"):
        resume(run, more="lots")
    before = rows(run)
    resume(run, more=budget)
    with Store.open(run) as store:
        steps, last, rounds, stages = store.steps(), store.last_commit(), store.rounds(), store.meta()["stages"]
        decisions = store.decisions()
    assert last.finished and stages[-1]["more"] == budget and stages[-1]["step"] == 8
    more = [s for s in steps if s["step"] >= 8]
    assert len(more) == 3 if budget == "3steps" else sum(s["tokens"] for s in more) >= 100 > sum(s["tokens"] for s in more[:-1])
    assert decisions[2].reason.startswith("extended by") and "round 1" in decisions[2].reason
    assert rounds[2]["accuracy"] == rounds[1]["accuracy"] and len(rounds) == 3 + -(-len(more) // 2)
    for table in ("rollouts", "steps", "evaluations", "decisions"):  # nothing of before is lost
        assert set(before[table]) < set(rows(run)[table])
    found = report.summary(run)
    assert found["finished"] and found["steps"] == 2 + len(more) and [r["round"] for r in found["rounds"]][1] == 2
    assert "extended by" in report.render(run).read_text()
    resume(run, more="1steps")  # and again
    with Store.open(run) as store:
        assert len(store.steps()) == len(steps) + 1 and len(store.meta()["stages"]) == 3


def test_an_extension_that_is_killed_goes_on_as_if_it_never_was(run, tmp_path):
    shutil.copytree(run, tmp_path / "killed")
    resume(run, more="3steps")

    def die(name: str, seen: list[str] = []) -> None:  # noqa: B006
        seen.append(name)
        if name == "committed" and seen.count("committed") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "killed", more="3steps", fault=die)
    with pytest.raises(UserError, match="not finished, and only a finished run"):
        resume(tmp_path / "killed", more="3steps")
    resume(tmp_path / "killed")
    assert_same(run, tmp_path / "killed")


# Directories from elsewhere.


def test_a_directory_from_elsewhere_runs_no_code_unless_it_is_trusted(run, tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    monkeypatch.setenv("SHARPEN_TEST_TRACE", str(trace))
    forget()
    resume(run)  # made here: its own code is run without a word
    assert trace.exists()
    trace.unlink()
    forget()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    for command in (["report", str(run), "--json"], ["check", str(run)], ["query", str(run), "SELECT 1"]):
        assert CliRunner().invoke(app, command).exit_code == 0
    with pytest.raises(UserError, match=r"was not made by you on this machine.*recipe .*mine\.py.*--trust"):
        resume(run)
    assert not trace.exists()
    resume(run, more="1steps", trusted=True)
    assert trace.exists()
    resume(run)  # it is trusted from then on


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith("sharpen_user_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "/tmp/evil.py"},
        {"roles": ["judge=evil:answer"]},
        {"roles": ["judge=http://elsewhere/v1#model"]},
        {"settings": ["isolation=none"]},
        {"settings": ["rl.isolation=reduced"]},
        {"settings": ["verify=/tmp/evil.py:judge"]},
    ],
    ids=str,
)
def test_what_can_act_is_under_the_seal(run, change):
    """A run of one's own in which somebody has changed the request."""
    with Store.open(run) as store:
        then = store.meta()
    meta(run, request=then["request"] | change)
    with pytest.raises(UserError, match="was changed since, and it asks for what can act"):
        resume(run)


def test_a_seal_covers_the_hashes_of_code_and_needs_the_secret(run, tmp_path, monkeypatch):
    with Store.open(run) as store:
        then = store.meta()
    code = next(key for key in then["made_of"] if key.startswith("recipe: "))
    other = {**then, "made_of": then["made_of"] | {code: "0" * 64}}
    assert trust.seal(trust.sealed(then)) == then[trust.KEY] != trust.seal(trust.sealed(other))
    secret = trust.place()
    assert secret.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert trust.seal(trust.sealed(then)) != then[trust.KEY]
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")  # where none can be kept, nothing is sealed, and nothing trusted
    assert trust.seal(trust.sealed(then)) == ""
    with pytest.raises(UserError, match="--trust"):
        trust.require(run, ["recipe x.py"], "", {}, trusted=False)


def test_a_plain_recipe_needs_no_trust():
    assert trust.acts({"recipe": "grpo", "roles": ["judge=student"], "settings": ["lr=1e-5", "isolation=full"]}) == []


# A round that has begun.


class StopsAfter(terminal.Quiet):
    """Asks to stop once the loop has made so many steps."""

    def __init__(self, steps: int):
        self.left, self.loop = steps, False

    def phase(self, name, total=None, done=0):
        self.loop = name == "loop"

    def advance(self, n=1, **numbers):
        self.left -= n if self.loop else 0

    def interruptible(self):
        return nullcontext(lambda: self.left <= 0)


@pytest.mark.parametrize("steps", [1, 2], ids=["in a round", "at its end"])
def test_a_round_that_has_begun_is_measured_although_its_time_is_over(made, tmp_path, steps):
    """Stopped in a round of two steps, and its budget gone when it is resumed: no weights are tested that were not measured."""
    asked = replace(request(made, budget="1000s loop"), directory=tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        loop.start(asked, StopsAfter(steps))
    with sqlite3.connect(tmp_path / "stopped" / "run.db") as db:
        db.execute("INSERT INTO timings VALUES (1, 7, 'generate', 5000)")
    resume(tmp_path / "stopped")
    with Store.open(tmp_path / "stopped") as store:
        assert store.last_commit().finished and [r["round"] for r in store.rounds()] == [0, 1]
        assert len(store.steps()) == 6 + steps and store.evaluation(1, "validation") and store.evaluation(1, "test")
