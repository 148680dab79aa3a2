"""Killed anywhere and resumed is never killed: the same rows and the same weights, bit for bit."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

import prefork
from sharpen.core import UserError
from sharpen.loop import loop
from sharpen.store.store import FAULTS, Store
from sharpen.terminal import terminal

SETTINGS = [
    *("student=micro", "precision=fp32", "warmup_steps=6", "warmup_rows=8", "warmup_demos=4", "prompts=4", "samples=4"),
    *("round_steps=2", "validation=3", "test=3", "max_tokens=12", "lr=0.003"),
]
COMMITS = 5  # after warm-up, after each of three rounds, at the end
KILLS = [f"{fault}:{1 + i % COMMITS}" for i, fault in enumerate(FAULTS)] + ["committed:5", "saved:2"]
# A round that is gone back from has no checkpoint to write, and its commit does not pass the first three points; commit 1 does.
SAVELESS = [*(f"{fault}:1" for fault in FAULTS[:3]), *KILLS[3:-1]]


def in_turn(kills: Sequence[str]) -> str:
    """One case of many kills: of the same run, commit after commit, and within a commit in the order of its instants."""

    def instant(kill: str) -> tuple[int, int]:
        point, _, commit = kill.partition(":")
        return int(commit), FAULTS.index(point)

    return "+".join(sorted(kills, key=instant))


def run_cases(root: Path, settings: list[str], cases: list[str]) -> str:
    return prefork.run(Path(__file__).with_name("resumed_run.py"), str(root), *settings, "--", *cases)


def rows(directory: Path) -> dict[str, list]:
    """Every row of every table but the wall-clock ones."""
    with sqlite3.connect(directory / "run.db") as db:
        names = [
            n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'") if n not in ("timings", "meta")
        ]
        return {n: sorted(map(repr, db.execute(f"SELECT * FROM {n}"))) for n in names}


def weights(directory: Path) -> dict[str, bytes]:
    """The accepted checkpoint, file by file."""
    with Store.open(directory) as store:
        path = store.checkpoint_path(store.last_commit().accepted)
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def assert_same(a: Path, b: Path) -> None:
    first, second = rows(a), rows(b)
    assert first.keys() == second.keys()
    for table in first:
        assert first[table] == second[table], f"{table} differs between {a.name} and {b.name}"
    assert weights(a) == weights(b)
    metas = []
    for directory in (a, b):
        with Store.open(directory) as store:
            metas.append({key: store.meta().get(key) for key in ("buffer", "notes")})
    assert metas[0] == metas[1]


# "always" keeps every round and "ratchet" rolls most back here, so both ways of closing a round are interrupted.
@pytest.mark.parametrize(("guard", "kills", "bits"), [("always", KILLS, 8), ("ratchet", SAVELESS, 32)])
def test_killed_at_commit_points(tmp_path, guard, kills, bits):
    case = in_turn(kills)
    said = run_cases(tmp_path, [*SETTINGS, f"guard={guard}", f"optimizer_bits={bits}"], [case])
    assert said.count("killed 1") == len(kills) and "killed 0" not in said, said
    assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))


def test_all_three_answers_and_all_that_is_kept_come_back(request, tmp_path):
    """Six rounds of one step, of which each keeps arrays, samples and notes: killed at each kind of commit, and anywhere; with
    --all-recipes at every instant of every commit."""
    own = Path(__file__).with_name("asking.py")
    settings = [f"recipe={own}", *(s for s in SETTINGS if "round_steps" not in s), "round_steps=1"]
    # Commits: the start, unclear, better, unclear, unclear, worse (which saves nothing), unclear, the end.
    # What is killed before a commit is done goes on from the one before it, so that each of them is gone on from.
    kills = ["saved:2", "committed:2", "renamed:4", "committed:4", "inserted:6", "written:7", "committed:7", "committed:8"]
    cases = [in_turn(kills), "events:3"]
    if request.config.getoption("all_recipes"):
        passed = {n: FAULTS[3:] if n in (6, 8) else FAULTS for n in range(1, 9)}
        for n in passed:
            before = [f"committed:{n - 1}"] if n > 1 else []
            cases.append(in_turn([*before, *(f"{fault}:{n}" for fault in passed[n][:-1])]))
        cases += [in_turn([f"{FAULTS[-1]}:{n}" for n in passed])]  # once a commit is there, it does not come again
    said = run_cases(tmp_path, settings, cases)
    assert not [line for line in said.splitlines() if line.endswith("killed 0")], said
    for case in cases:
        assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))
    with Store.open(tmp_path / "whole") as store:
        answers = [d.answer for d in store.decisions().values()]
        assert answers == ["better", "unclear", "better", "unclear", "unclear", "worse", "unclear"]
        kept = store.meta()
        assert kept["notes"] == {"steps": 6} and len(kept["buffer"]) > 8
        assert store.last_commit().checkpoint == store.last_commit().accepted == "000003"


def test_killed_again_and_again_at_any_instant(tmp_path):
    # The bytes are the new database's, the weights' and the optimizer state's.
    cases = ["events:1", "events:2", "bytes:5000+bytes:400000+bytes:1000000"]
    said = run_cases(tmp_path, [*SETTINGS, "guard=always"], cases)
    killed = [int(line.rpartition(" ")[2]) for line in said.splitlines()]
    assert min(killed[:2]) >= 2 and killed[2:] == [1, 1, 1], said
    for case in cases:
        assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))


class Impatient(terminal.Quiet):
    """Presses Ctrl-C once, as soon as the named phase has made so many steps."""

    def __init__(self, phase: str, after: int = 1):
        super().__init__()
        self.wanted, self.left, self.pressed, self.name = phase, after, False, ""

    def phase(self, name, total=None, done=0):
        self.name = name

    def advance(self, n=1, **numbers):
        self.left -= n if self.name == self.wanted else 0
        self.pressed = self.pressed or self.left <= 0

    def interruptible(self):
        from contextlib import nullcontext

        return nullcontext(lambda: self.pressed)


@pytest.mark.parametrize(("phase", "where"), [("warm-up", ("warmup", 1, 0)), ("loop", ("loop", 7, 0))])
def test_interrupted_between_two_commits_and_resumed(tmp_path, phase, where):
    def request(name: str) -> loop.Request:
        settings = (*SETTINGS, "guard=always", "replay=3", "objective=sft", "select=keep_correct")
        return loop.Request("quickstart", settings, 5, "4steps", None, "chain_sum/1", tmp_path / name)

    loop.start(request("whole"), terminal.Quiet())
    with pytest.raises(KeyboardInterrupt):
        loop.start(request("stopped"), Impatient(phase))
    with Store.open(tmp_path / "stopped") as store:
        commit = store.last_commit()
        assert (commit.phase, commit.step, commit.round) == where
    loop.resume(tmp_path / "stopped", terminal.Quiet())
    stopped, whole = rows(tmp_path / "stopped"), rows(tmp_path / "whole")
    stopped.pop("commits"), whole.pop("commits")  # the interruption is one commit more
    assert stopped == whole
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")


class AtLook(terminal.Quiet):
    """Presses Ctrl-C when it is asked for the n-th time whether somebody has: between two tokens, two passes, two steps."""

    def __init__(self, n: int = 0):
        self.left = n
        self.looks = 0

    def interruptible(self):
        from contextlib import nullcontext

        def pressed() -> bool:
            self.looks += 1
            self.left -= 1
            return self.left == 0

        return nullcontext(pressed)


def test_interrupted_within_a_step_and_within_an_evaluation(tmp_path):
    """Answers half written, a batch half learnt from, a round half measured, the baseline too: nothing of it counts."""
    settings = [s for s in SETTINGS if not s.startswith("warmup")]
    settings += ["warmup_steps=0", "guard=always", "micro_tokens=64", "temperature=0.8"]

    def request(name: str) -> loop.Request:
        return loop.Request(
            "quickstart", (*settings, "replay=0", "objective=grpo"), 5, "4steps", None, "chain_sum/1", tmp_path / name
        )

    whole = AtLook()
    loop.start(request("whole"), whole)
    expected = rows(tmp_path / "whole")
    expected.pop("commits")
    steps = set()
    for part in range(1, 9):
        name = f"look{part}"
        with pytest.raises(KeyboardInterrupt):
            loop.start(request(name), AtLook(whole.looks * part // 9))
        with Store.open(tmp_path / name) as store:
            steps.add(commit.step if (commit := store.last_commit()) else None)
            assert len(store.steps()) == (commit.step if commit else 0)  # every step that was done is kept
        loop.resume(tmp_path / name, terminal.Quiet())
        stopped = rows(tmp_path / name)
        stopped.pop("commits")
        assert stopped == expected, name
        assert weights(tmp_path / name) == weights(tmp_path / "whole")
    assert steps >= {0, 4} and len(steps) >= 4  # stopped in the baseline, in steps, and in the last measurement


def test_the_first_step_is_made_whatever_the_budget(tmp_path):
    settings = (
        "student=micro",
        "warmup_steps=0",
        "prompts=2",
        "samples=2",
        "validation=2",
        "test=2",
        "max_tokens=4",
        "average=0",
    )
    loop.start(loop.Request("grpo", settings, 5, "0.000001s", None, "chain_sum/1", tmp_path / "run"), terminal.Quiet())
    with Store.open(tmp_path / "run") as store:
        assert len(store.steps()) == 1 and [r["round"] for r in store.rounds()] == [0, 1]
        phases = {phase for (phase,) in store.rows("SELECT DISTINCT phase FROM timings")}
    assert {"set-up", "baseline", "evaluate"} <= phases  # no budget pays for the first two


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    request = loop.Request("quickstart", tuple(SETTINGS), 5, "2steps", None, "chain_sum/1", tmp_path / "run")
    loop.start(request, terminal.Quiet())
    before = rows(tmp_path / "run")
    loop.resume(tmp_path / "run", terminal.Quiet())
    assert rows(tmp_path / "run") == before
    with pytest.raises(UserError, match="already holds a run"):
        loop.start(request, terminal.Quiet())


def test_another_seed_is_another_run(tmp_path):
    for seed in (1, 2):
        request = loop.Request("quickstart", tuple(SETTINGS), seed, "2steps", None, "chain_sum/1", tmp_path / str(seed))
        loop.start(request, terminal.Quiet())
    assert weights(tmp_path / "1")["model.safetensors"] != weights(tmp_path / "2")["model.safetensors"]
    assert set(rows(tmp_path / "1")["rollouts"]).isdisjoint(rows(tmp_path / "2")["rollouts"])
