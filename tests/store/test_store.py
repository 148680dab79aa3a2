from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpen.core import HISTORY, Arm, ArmStats, Decision, Evaluation, Rollout, Sample, Tally, Task, UserError, Verdict
from sharpen.data import replay
from sharpen.guard.doctor import Diagnosis
from sharpen.store.database import SCHEMA_VERSION
from sharpen.store.store import FAULTS, Commit, Position, Store

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
SUM = Arm("sum", 1)


def make_task(question: str = "1 + 1", **more) -> Task:
    return Task(({"role": "user", "content": question},), "2", "sum", 1, **more)


def make_sample(id: str = "s0.0", task: Task | None = None, reward: float | None = 1.0, **more) -> Sample:
    tokens, sampled = np.array([5, 6, 7, 8], np.int32), np.array([False, False, True, True])
    logprobs = np.array([0, 0, -0.5, -0.25], np.float32)
    outcome = "unscorable" if reward is None else "correct"
    rollout = Rollout(task or make_task(), tokens, sampled, logprobs, ("<answer>2</answer>",), "end", 3, 99, id)
    return Sample(rollout, Verdict(outcome, reward), 0, **more)


def save_text(text: str) -> Callable[[Path], object]:
    return lambda path: (path / "weights").write_text(text)


def checkpoints(store: Store) -> list[str]:
    return sorted(path.name for path in (store.directory / "checkpoints").iterdir())


def count(store: Store, table: str) -> int:
    return store.rows(f"SELECT count(*) FROM {table}")[0][0]


# What is read is what was written.

texts = st.text(st.characters(exclude_categories=()), max_size=12)  # NUL, surrogates and emoji included
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
ids = st.text("abcdef.0123456789", min_size=1, max_size=8)


@st.composite
def tasks(draw) -> Task:
    content = draw(texts | st.lists(st.dictionaries(texts, texts, max_size=2), max_size=2))
    optional = st.none() | texts
    return Task(
        prompt=({"role": "user", "content": content},),
        answer=draw(optional),
        family=draw(ids),
        level=draw(st.integers(0, 99)),
        split=draw(st.sampled_from(("train", "validation", "test"))),
        verifier=draw(ids),
        data=draw(st.dictionaries(texts, json_values, max_size=3)),
        solution=draw(optional),
        parents=tuple(draw(st.lists(ids, max_size=2))),
    )


@st.composite
def samples(draw) -> Sample:
    n = draw(st.integers(0, 9))
    sampled = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    floats = st.floats(width=32, max_value=0, allow_nan=False)
    logprobs = np.array(draw(st.lists(floats, min_size=n, max_size=n)), np.float32)
    tokens = np.array(draw(st.lists(st.integers(0, 2**31 - 1), min_size=n, max_size=n)), np.int32)
    seed, turns = draw(st.integers(0, 2**63 - 1)), tuple(draw(st.lists(texts, max_size=3)))
    rollout = Rollout(draw(tasks()), tokens, sampled, logprobs, turns, "length", 7, seed, draw(ids), draw(st.none() | ids))
    outcome = draw(st.sampled_from(("correct", "malformed", "unscorable")))
    reward = None if outcome == "unscorable" else draw(st.floats(0, 1))
    parts = draw(st.dictionaries(texts, numbers, max_size=2))
    return Sample(rollout, Verdict(outcome, reward, parts, draw(texts), draw(ids), draw(ids)), draw(st.integers(0, 99)))


def plain(sample: Sample) -> tuple:
    """Everything in a sample but its weight, comparable with ==."""
    r = sample.rollout
    arrays = [(a.dtype.str, a.tolist()) for a in (r.tokens, r.sampled, r.logprobs)]
    rest = (r.turns, r.stop, r.version, r.seed, r.id, r.parent, sample.verdict, sample.group)
    return (r.task, r.task.id, *arrays, *rest)


@settings(max_examples=40)
@given(st.lists(samples(), max_size=4, unique_by=(lambda s: s.rollout.id, lambda s: s.rollout.task.id)))
def test_samples_come_back_as_they_were(written: list[Sample]):
    with tempfile.TemporaryDirectory() as directory:
        with Store.create(directory, {}) as store:
            store.add_samples("train", 4, 2, written)
            store.commit(Position("loop", 5, 2))
        with Store.open(directory) as store:
            read = store.read_rollouts("train")
            counts = [(r["n_prompt"], r["n_sampled"]) for r in store.rows("SELECT * FROM rollouts ORDER BY rowid")]
    assert [plain(s) for s in read] == [plain(s) for s in written]
    sampled = [s.rollout.sampled.tolist() for s in written]
    assert counts == [(row.index(True) if any(row) else len(row), sum(row)) for row in sampled]


def test_text_that_is_not_unicode_comes_back_as_it_was(tmp_path: Path):
    odd = "half a pair: \ud83d, NUL: \0"
    task = Task(({"role": "user", "content": odd},), odd, "sum", 1, data={odd: odd}, solution=odd)
    sample = make_sample(task=task)
    rollout = dataclasses.replace(sample.rollout, turns=(odd,))
    sample = Sample(rollout, Verdict("correct", 1.0, {odd: 1.0}, odd), 0)
    with Store.create(tmp_path / "run", {"argv": [odd]}) as store:
        store.add_samples("train", 0, 0, [sample])
        store.commit(Position("loop", 1, 0))
        assert plain(store.read_rollouts("train")[0]) == plain(sample)
        assert store.meta()["argv"] == [odd]


def test_rollouts_are_found_by_purpose_step_and_round_and_in_pages(tmp_path: Path):
    with Store.create(tmp_path / "run", {}) as store:
        for step in range(4):
            store.add_samples("train", step, step // 2, [make_sample(f"s{step}.{i}") for i in range(3)])
        store.add_samples("validation", 4, 1, [make_sample("v")])
        store.commit(Position("loop", 4, 1))

        def found(*what, **more):
            return [s.rollout.id for s in store.read_rollouts(*what, **more)]

        assert found("train", step=2) == ["s2.0", "s2.1", "s2.2"]
        assert found("train", round=1) == ["s2.0", "s2.1", "s2.2", "s3.0", "s3.1", "s3.2"]
        assert found("train", round=0, limit=2, offset=3) == ["s1.0", "s1.1"]
        assert found("validation") == ["v"] and found("test") == []
        shared = store.read_rollouts("train", step=0)
        assert shared[0].rollout.task is shared[1].rollout.task


def test_the_memory_of_successes_is_restored_as_it_was_built(tmp_path: Path):
    rng = np.random.default_rng(0)
    some = make_sample().rollout
    built: replay.Memory = {}

    def same(restored: replay.Memory) -> bool:
        return {arm: [plain(s) for s in kept] for arm, kept in restored.items()} == {
            arm: [plain(s) for s in kept] for arm, kept in built.items()
        }

    with Store.create(tmp_path / "run", {}) as store:
        for step in range(10):
            samples = []
            for i in range(1200):
                task = Task(make_task(f"{step % 4}.{i // 6}").prompt, "2", "sum", i // 600)
                rollout = dataclasses.replace(some, task=task, id=f"s{step}.{i:04d}")
                verdict = Verdict("correct", 1.0) if rng.random() < 0.4 else Verdict("wrong", 0.0)
                samples.append(Sample(rollout, verdict, i // 3))  # two groups a task
            replay.remember(built, samples)
            store.add_samples("warmup" if step == 0 else "train", step, 0, samples)
            store.add_samples("validation", step, 0, [make_sample(f"v{step}")])
            store.commit(Position("loop", step + 1, 0))
            assert step not in (0, 3) or same(replay.restored(store.successes(replay.KEEP)))
        assert same(replay.restored(store.successes(replay.KEEP)))
        assert [len(kept) for kept in built.values()] == [replay.KEEP] * 2  # so the oldest were dropped


def test_everything_else_comes_back_too(tmp_path: Path):
    told = {Arm("b", 2): Tally(2, 0, 0, 1, 0, 2), Arm("a", 1): Tally(0, 0, 1, 0, 1, 0)}
    evaluation = Evaluation({Arm("b", 2): (True, False, True), Arm("a", 1): (False, None)}, told)
    decision = Decision("unclear", "unclear: é fell", {"mean": -0.25})
    diagnosis = Diagnosis("unscorable", True, {"unscorable": 0.5}, "cure")
    with Store.create(tmp_path / "run", {"seed": 3, "argv": ["run", "é"]}) as store:
        store.add_evaluation(1, "validation", evaluation)
        store.add_evaluation(1, "test", Evaluation({SUM: (True,)}))
        store.add_decision(1, decision)
        store.add_diagnosis(7, diagnosis)
        store.add_step(0, "warmup", 0, {"loss": np.float32(0.5), "rows": np.int64(3), "silent": float("nan")})
        store.add_step(1, "loop", 1, {"reward": 0.25})
        store.add_batch(1, [make_sample("s1.0", weight=0.5)])
        store.add_tasks([make_task("alone")])
        store.add_meta("session1", {"host": "here"})
        store.add_meta("session1", {"host": "there"})
        store.add_timing("learn", 1.5, 1)
        store.add_timing("learn", 0.25, 1)
        store.commit(Position("loop", 2, 1))
    with Store.open(tmp_path / "run") as store:
        read = store.evaluation(1, "validation")
        assert read == evaluation and list(read.correct) == list(evaluation.correct)  # in order: paired by place
        assert store.evaluation(2, "validation") is None
        assert store.decisions() == {1: decision}
        # Accuracy is the mean over arms: (2/3 + 0/1) / 2.
        assert store.rounds() == [{"round": 1, "answer": "unclear", "accepted": False, "accuracy": 1 / 3, "n": 4}]
        assert store.rounds()[0]["accuracy"] == evaluation.accuracy
        assert store.diagnoses() == [(7, diagnosis)]
        first, second = store.steps()
        assert np.isnan(first.pop("silent"))
        assert first == {"loss": 0.5, "rows": 3, "step": 0, "phase": "warmup", "round": 0}
        assert second == {"reward": 0.25, "step": 1, "phase": "loop", "round": 1}
        assert [tuple(r) for r in store.rows("SELECT * FROM batches")] == [(1, "s1.0", 1.0, 0.5)]
        assert [tuple(r) for r in store.rows("SELECT id, prompt FROM tasks")] == [
            (make_task("alone").id, '[{"role": "user", "content": "alone"}]')
        ]
        meta = {"schema_version": SCHEMA_VERSION, "seed": 3, "argv": ["run", "é"], "session1": {"host": "there"}}
        assert store.meta() == meta
        assert [tuple(r) for r in store.rows("SELECT * FROM timings")] == [(1, 1, "learn", 1.75)]


def test_text_is_readable_in_queries(tmp_path: Path):
    with Store.create(tmp_path / "run", {}) as store:
        store.add_tasks([make_task("Grüße, 你好", solution="x" * 100_000)])
        store.commit(Position("loop", 0, 0))
        row = store.rows("SELECT prompt, solution FROM tasks")[0]
    assert "Grüße, 你好" in row["prompt"] and row["solution"] == "x" * 100_000


def test_a_task_drawn_again_stays_the_first_one(tmp_path: Path):
    with Store.create(tmp_path / "run", {}) as store:
        store.add_samples("train", 0, 0, [make_sample("a", make_task(split="test"))])
        store.commit(Position("loop", 1, 0))
        store.add_samples("train", 1, 0, [make_sample("b", make_task(split="train"))])
        store.commit(Position("loop", 2, 0))
        assert [s.rollout.task.split for s in store.read_rollouts("train")] == ["test", "test"]


def test_history_holds_the_latest_of_each_arm_committed_or_not(tmp_path: Path):
    hard = Arm("sum", 2)

    def stats(step: int, arm: Arm) -> ArmStats:
        return ArmStats(step, arm, 8, step % 8, 0.5 * step, 100)

    with Store.create(tmp_path / "run", {}) as store:
        assert store.history() == {}
        for step in range(HISTORY + 10):
            store.add_arm_stats([stats(step, hard)] + [stats(step, SUM)] * (step == 0))
            if step % 9 == 0:
                store.commit(Position("loop", step + 1, 0))
        live = store.history()
        assert live == {SUM: [stats(0, SUM)], hard: [stats(step, hard) for step in range(10, HISTORY + 10)]}
        assert list(live) == [SUM, hard]
        store.commit(Position("loop", HISTORY + 10, 0))
        store.add_arm_stats([stats(999, hard)])  # lost: never committed
    with Store.open(tmp_path / "run") as store:
        assert store.history() == live and list(store.history()) == [SUM, hard]


# Committing.


def test_nothing_is_written_before_a_commit(tmp_path: Path):
    with Store.create(tmp_path / "run", {}) as store, Store.open(tmp_path / "run") as reader:
        store.add_samples("train", 0, 0, [make_sample("a")])
        assert (count(store, "rollouts"), count(reader, "rollouts"), reader.last_commit()) == (0, 0, None)
        store.commit(Position("loop", 1, 0))
        assert (count(store, "rollouts"), count(reader, "rollouts")) == (1, 1)  # a reader sees it while the run goes on
        assert reader.last_commit() == Commit(1, "loop", 1, 0, None, None, False)
        store.add_samples("train", 1, 0, [make_sample("b")])
    with Store.open(tmp_path / "run") as store:
        assert [s.rollout.id for s in store.read_rollouts("train")] == ["a"]


def test_which_checkpoints_a_commit_names_and_which_are_kept(tmp_path: Path):
    with Store.create(tmp_path / "run", {}) as store:

        def commit(accepted: str, text: str | None = None) -> tuple:
            made = store.commit(Position("loop", 1, 0, accepted), save_text(text) if text else None)
            return made.checkpoint, made.accepted, checkpoints(store)

        assert commit("keep") == (None, None, [])
        assert commit("keep", "two") == ("000002", None, ["000002"])
        assert commit("this") == ("000002", "000002", ["000002"])  # weights saved earlier become the accepted ones
        assert commit("keep", "four") == ("000004", "000002", ["000002", "000004"])
        assert commit("keep", "five") == ("000005", "000002", ["000002", "000004", "000005"])
        assert commit("back") == ("000002", "000002", ["000002", "000005"])  # those of the last two commits are kept
        assert commit("keep", "seven") == ("000007", "000002", ["000002", "000007"])
        assert commit("this", "eight") == ("000008", "000008", ["000002", "000007", "000008"])
        assert commit("keep") == ("000008", "000008", ["000008"])
        assert (store.checkpoint_path("000008") / "weights").read_text() == "eight"
        with pytest.raises(UserError, match="000007 is gone"):
            store.checkpoint_path("000007")
        last = store.last_commit()
    with Store.open(tmp_path / "run", write=True) as store:
        assert store.last_commit() == last and checkpoints(store) == ["000008"]


def test_positions_that_make_no_sense_are_refused(tmp_path: Path):
    with Store.create(tmp_path / "run", {}) as store:
        for accepted in ("this", "back", "That"):
            with pytest.raises(ValueError, match=accepted):
                store.commit(Position("loop", 1, 0, accepted))
        store.commit(Position("loop", 1, 0, "this"), save_text("one"))
        with pytest.raises(ValueError, match="back"):  # go back to other weights, or save these: not both
            store.commit(Position("loop", 1, 0, "back"), save_text("two"))
        assert store.last_commit().n == 1


def failing(path: Path) -> None:
    (path / "weights").write_text("half")
    raise RuntimeError("out of luck")


@pytest.mark.parametrize(
    ("save", "error"),
    [(failing, pytest.raises(RuntimeError, match="out of luck")), (lambda path: None, pytest.raises(ValueError))],
)
def test_a_failed_save_leaves_the_last_commit_and_can_be_tried_again(tmp_path: Path, save, error):
    with Store.create(tmp_path / "run", {}) as store:
        store.commit(Position("loop", 1, 0, "this"), save_text("one"))
        store.add_samples("train", 1, 0, [make_sample("a")])
        with error:
            store.commit(Position("loop", 2, 0), save)
        assert (store.last_commit().n, checkpoints(store), count(store, "rollouts")) == (1, ["000001"], 0)
        assert store.commit(Position("loop", 2, 0), save_text("two")).n == 2
        assert (checkpoints(store), count(store, "rollouts")) == (["000001", "000002"], 1)


def test_a_commit_goes_on_while_the_next_rows_are_added(tmp_path: Path):
    """The background part is held back until more has been added: none of that belongs to the commit."""
    go = threading.Event()
    faults: list[str] = []

    def hold(name: str) -> None:
        faults.append(name)
        if name == "begun" and len(faults) < 6:
            assert go.wait(900)

    with Store.create(tmp_path / "run", {}, fault=hold) as store:
        store.add_samples("train", 0, 0, [make_sample("a")])
        assert store.commit(Position("loop", 1, 0, "this"), save_text("one"), wait=False).n == 1
        store.add_samples("train", 1, 0, [make_sample("b")])
        go.set()
        assert (store.last_commit().n, checkpoints(store), count(store, "rollouts")) == (1, ["000001"], 1)
        store.commit(Position("loop", 2, 0))
        assert count(store, "rollouts") == 2


def test_a_commit_that_fails_in_the_background_is_heard_of_at_the_next_call(tmp_path: Path):
    with Store.create(tmp_path / "run", {}) as store:
        store.add_samples("train", 0, 0, [make_sample("a")])
        store.commit(Position("loop", 1, 0, "this"), save_text("one"))
        store.add_samples("train", 1, 0, [make_sample("a")])  # the id is taken
        store.commit(Position("loop", 2, 0, "this"), save_text("two"), wait=False)
        with pytest.raises(sqlite3.IntegrityError):
            store.last_commit()
        assert (store.last_commit().n, checkpoints(store), count(store, "rollouts")) == (1, ["000001"], 1)


def test_what_is_left_of_a_checkpoint_is_written_before_it_has_its_name(tmp_path: Path):
    """Beside whatever is done next; where it fails, the last commit stands."""

    def slowly(text: str, fails: bool = False):
        def rest(path: Path) -> None:
            if fails:
                raise ValueError("half written")
            save_text(text)(path)

        return lambda path: partial(rest, path)

    with Store.create(tmp_path / "run", {}) as store:
        store.commit(Position("loop", 1, 0, "this"), slowly("one"), wait=False)
        assert store.last_commit().n == 1 and checkpoints(store) == ["000001"]
        assert any(path.read_text() == "one" for path in store.checkpoint_path("000001").iterdir())
        store.commit(Position("loop", 2, 0, "this"), slowly("two"))
        store.commit(Position("loop", 3, 0, "this"), slowly("three", fails=True), wait=False)
        with pytest.raises(ValueError, match="half written"):
            store.last_commit()
        assert store.last_commit().n == 2
        with pytest.raises(ValueError, match="wrote nothing"):
            store.commit(Position("loop", 3, 0, "this"), lambda path: lambda: None)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda store: store.add_samples("train", 1, 0, [make_sample("old")]),
        lambda store: store.add_samples("train", 1, 0, [make_sample("new", reward=float("nan"))]),
        lambda store: store.add_batch(1, [make_sample("x", reward=None)]),
        lambda store: store.add_batch(1, [make_sample("x", weight=float("nan"))]),
        lambda store: store.add_arm_stats([ArmStats(1, SUM, 1, 1, float("nan"), 1)]),
        lambda store: store.add_step(0, "loop", 0, {}),
    ],
    ids=["id used twice", "NaN reward", "unscorable in a batch", "NaN weight", "NaN advantage", "step done twice"],
)
def test_rows_that_cannot_be_true_are_refused_and_the_whole_commit_with_them(tmp_path: Path, spoil):
    with Store.create(tmp_path / "run", {}) as store:
        store.add_samples("train", 0, 0, [make_sample("old")])
        store.add_step(0, "loop", 0, {})
        store.commit(Position("loop", 1, 0))
        store.add_samples("train", 1, 0, [make_sample("good")])
        spoil(store)
        with pytest.raises(sqlite3.IntegrityError):
            store.commit(Position("loop", 2, 0), save_text("two"))
        assert (store.last_commit().n, count(store, "rollouts"), checkpoints(store)) == (1, 1, [])


def test_arrays_of_different_lengths_are_refused(tmp_path: Path):
    rollout = Rollout(make_task(), np.zeros(3, np.int32), np.zeros(2, bool), np.zeros(3, np.float32), (), "end", 0, 0, "odd")
    with Store.create(tmp_path / "run", {}) as store, pytest.raises(ValueError, match="rollout odd: 3 tokens, 2 sampled"):
        store.add_samples("train", 0, 0, [Sample(rollout, Verdict("wrong", 0.0), 0)])


def test_the_instants_of_a_commit_are_passed_in_order(tmp_path: Path):
    passed: list[str] = []
    with Store.create(tmp_path / "run", {}, fault=passed.append) as store:
        assert passed == []
        store.commit(Position("loop", 1, 0), save_text("one"))
    assert tuple(passed) == FAULTS


def test_a_checkpoint_is_on_the_disk_before_its_commit_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: set[int] = set()
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def look(name: str) -> None:
        if name == "begun":
            found = [tmp_path / "run" / "checkpoints", *(tmp_path / "run" / "checkpoints").rglob("*")]
            assert len(found) == 6
            assert [path.name for path in found if path.stat().st_ino not in synced] == []

    def save(path: Path) -> None:
        (path / "weights").write_text("one")
        (path / "deep").mkdir()
        (path / "deep" / "state").write_text("two")

    monkeypatch.setattr(os, "fsync", noted)
    with Store.create(tmp_path / "run", {}, fault=look) as store:
        store.commit(Position("loop", 1, 0), save)
        # SQLite syncs by itself: its log at every commit (2 is FULL).
        pragmas = [store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        assert pragmas == ["wal", 2]


# Killed.


def dump(run: Path) -> dict:
    """Every row that identical runs share, and every byte of the checkpoints."""
    db = sqlite3.connect(run / "run.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'") if name != "timings"]
    rows = {
        name: db.execute(f"SELECT * FROM {name} ORDER BY {'1' if name == 'verdicts' else 'rowid'}").fetchall()
        for name in tables
    }
    db.close()
    rows["meta"] = [row for row in rows["meta"] if not row[0].startswith("session")]
    files = {str(p.relative_to(run)): p.read_bytes() for p in (run / "checkpoints").rglob("*") if p.is_file()}
    return {**rows, "files": files}


def interrupted(directory: Path, mode: str) -> dict:
    command = [sys.executable, str(HERE / "interrupted_run.py"), str(directory), mode]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return dump(directory)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict:
    found = interrupted(tmp_path_factory.mktemp("runs") / "never", "never")
    assert len(found["rollouts"]) == 144 and len(found["commits"]) == 25
    return found


@pytest.mark.parametrize("mode", ["faults", "events", "bytes"])
def test_killed_and_resumed_is_never_killed(tmp_path: Path, uninterrupted: dict, mode: str):
    found = interrupted(tmp_path / mode, mode)
    assert found.keys() == uninterrupted.keys()
    for name in found:
        assert found[name] == uninterrupted[name], name


def test_what_a_killed_commit_left_is_removed_and_nothing_else_is(tmp_path: Path):
    run = tmp_path / "run"
    with Store.create(run, {}) as store:
        store.commit(Position("loop", 1, 0, "this"), save_text("one"))
    others = ["000009", "000010.partial", "best-000002", "notes"]  # no commit ever named these
    for name in ("000002", "000002.partial", *others):
        (run / "checkpoints" / name).mkdir()
        (run / "checkpoints" / name / "weights").write_text("?")
    with pytest.raises(UserError, match="000002 was not made by this run.*Move it elsewhere"):
        Store.open(run, write=True)
    (run / "checkpoints" / "000002" / "SHA256SUMS").write_text("written last, before it got its name")
    with Store.open(run) as store:
        assert len(checkpoints(store)) == 7 - ("000002.partial" not in checkpoints(store))  # reading changes nothing
    with Store.open(run, write=True) as store:
        assert checkpoints(store) == ["000001", *others]
        assert store.commit(Position("loop", 2, 0), save_text("two")).checkpoint == "000002"
        assert (store.checkpoint_path("000002") / "weights").read_text() == "two"


def test_a_run_killed_while_it_was_made_can_be_made_again(tmp_path: Path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("run.db.new", "run.db.new-wal"):
        (tmp_path / name).write_text("half of a database")
    with pytest.raises(UserError, match="holds no run"):
        Store.open(tmp_path)
    with Store.create(tmp_path, {"seed": 1}) as store:
        assert store.meta()["seed"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "run.db", "run.lock"]


# One writer.


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path):
    with Store.create(tmp_path / "run", {}) as store:
        for attempt in (lambda: Store.open(tmp_path / "run", write=True), lambda: Store.create(tmp_path / "run", {})):
            with pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
                attempt()
        store.commit(Position("loop", 1, 0))
    with Store.open(tmp_path / "run", write=True) as store:
        assert store.session == 1  # no timing was committed yet
        store.add_timing("learn", 1.0, 1)
        store.commit(Position("loop", 2, 0))
    with Store.open(tmp_path / "run", write=True) as store:
        assert store.session == 2


ORPHAN = """
import os, sys, time
from sharpen.store import Store
store = Store.create(sys.argv[1], {})
if os.fork() == 0:
    print(os.getpid(), flush=True)
time.sleep(999)
"""


def test_a_child_that_outlives_a_killed_run_does_not_keep_it_locked(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path / "run")], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            with pytest.raises(UserError, match=f"in use by process {process.pid}"):
                Store.open(tmp_path / "run", write=True)
            process.kill()
            process.wait(timeout=900)
            with Store.open(tmp_path / "run", write=True) as store:
                assert store.last_commit() is None
        finally:
            os.kill(child, signal.SIGKILL)


def test_another_program_that_writes_to_the_database_is_named_as_such(tmp_path: Path):
    with Store.create(tmp_path / "run", {}) as store:
        store._db.execute("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(tmp_path / "run" / "run.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="Another program writes"):
            store.commit(Position("loop", 1, 0))
        other.execute("ROLLBACK")
        other.close()
        assert store.commit(Position("loop", 1, 0)).n == 1


# Directories that are not what they should be.


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """A directory that this process may not write, root or not."""
    root = os.geteuid() == 0
    modes = [(path, path.stat().st_mode) for path in (directory, *directory.rglob("*"))]
    for path, mode in modes:
        path.chmod(mode & ~0o222 | 0o444)
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes:
            path.chmod(mode)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A temporary directory that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_read_only_directory_can_be_read_but_not_gone_on_with(open_path: Path):
    run = open_path / "run"
    with Store.create(run, {}) as store:
        store.add_step(0, "loop", 0, {"reward": 1})
        store.commit(Position("loop", 1, 0))
        shutil.copytree(run, open_path / "killed")  # as a kill leaves it: the rows are in the log
    for directory in (run, open_path / "killed"):
        with read_only(directory):
            with Store.open(directory) as store:
                assert (store.steps()[0]["reward"], count(store, "steps")) == (1, 1)
            with pytest.raises(UserError, match="read-only"):
                Store.open(directory, write=True)
            with pytest.raises(UserError, match="read-only"):
                Store.create(directory / "new", {})


@pytest.mark.parametrize("write", [False, True])
def test_nothing_is_not_resumed(tmp_path: Path, write: bool):
    with pytest.raises(UserError, match="missing is not a directory"):
        Store.open(tmp_path / "missing", write=write)
    with pytest.raises(UserError, match="holds no run"):
        Store.open(tmp_path, write=write)
    assert list(tmp_path.iterdir()) == []  # looking leaves no traces
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is a model, and holds no run. Name the directory of a run"):
        Store.open(tmp_path, write=write)

    (tmp_path / "run.db").touch()
    with pytest.raises(UserError, match="run.db was not written by sharpen"):
        Store.open(tmp_path, write=write)
    db = sqlite3.connect(tmp_path / "run.db")
    db.execute("CREATE TABLE meta(key, value)")
    db.close()
    with pytest.raises(UserError, match="run.db was not written by sharpen"):
        Store.open(tmp_path, write=write)


def test_a_missing_table_is_named(tmp_path: Path):
    with Store.create(tmp_path / "run", {}):
        pass
    with closing(sqlite3.connect(tmp_path / "run" / "run.db")) as db:
        db.execute("DROP TABLE evaluations")
    with pytest.raises(UserError, match="lacks the table evaluations"), Store.open(tmp_path / "run"):
        pass


def test_a_newer_version_is_refused(tmp_path: Path):
    with Store.create(tmp_path / "run", {}):
        pass
    with Store.open(tmp_path / "run", write=True):  # this version is not
        pass
    db = sqlite3.connect(tmp_path / "run" / "run.db")
    with db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(SCHEMA_VERSION + 1),))
    db.close()
    for write in (False, True):
        with pytest.raises(UserError, match=f"newer version: schema {SCHEMA_VERSION + 1}"):
            Store.open(tmp_path / "run", write=write)


def test_a_run_is_not_begun_over_another(tmp_path: Path):
    with Store.create(tmp_path / "run", {"seed": 1}):
        pass
    with pytest.raises(UserError, match="already holds a run.*sharpen resume"):
        Store.create(tmp_path / "run", {"seed": 2})
    with Store.open(tmp_path / "run") as store:
        assert store.meta()["seed"] == 1
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match="file.* cannot be the directory of a run"):
            Store.create(path, {})
    (tmp_path / "other" / "checkpoints" / "000007").mkdir(parents=True)
    with pytest.raises(UserError, match="already holds"):
        Store.create(tmp_path / "other", {})
    assert (tmp_path / "other" / "checkpoints" / "000007").is_dir()


@pytest.mark.parametrize("begin", [0, 2 * 16384], ids=["header", "pages"])
def test_a_damaged_database_is_called_damaged(tmp_path: Path, begin: int):
    run = tmp_path / "run"
    with Store.create(run, {}) as store:
        store.add_samples("train", 0, 0, [make_sample(f"{i:04d}") for i in range(500)])
        store.commit(Position("loop", 1, 0))
    with open(run / "run.db", "r+b") as file:
        file.seek(begin)
        file.write(b"\xa5" * ((run / "run.db").stat().st_size - begin))
    for write in (False, True):
        with pytest.raises(UserError, match="damaged"), Store.open(run, write=write) as store:
            store.rows("SELECT sum(length(turns)) FROM rollouts")
    with pytest.raises(UserError, match="damaged"), Store.open(run) as store:
        store.read_rollouts("train")


# A full disk.


def fill(store: Store, megabytes: int) -> None:
    task = make_task(solution="x" * 1_000_000)
    store.add_tasks([Task(task.prompt, str(i), "sum", 1, solution=task.solution) for i in range(megabytes)])


def library_save(path: Path) -> None:
    """Fails on a full disk the way that libraries do: with an error of its own."""
    try:
        (path / "weights").write_bytes(b"x" * 20_000_000)
    except OSError as error:
        raise RuntimeError("file write failed") from error


@pytest.fixture
def small_disk() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    with tempfile.TemporaryDirectory() as name:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", name], capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


@pytest.mark.parametrize("where", ["rows", "save", "library"])
def test_a_full_disk_stops_the_commit_and_spares_the_last_one(small_disk: Path, where: str):
    run = small_disk / "run"
    with Store.create(run, {}) as store:
        store.add_step(0, "loop", 0, {})
        store.commit(Position("loop", 1, 0, "this"), save_text("one"))
        last = store.last_commit()
        if where == "rows":
            fill(store, 9)
        else:
            store.add_step(1, "loop", 0, {})
        save = {"rows": save_text("two"), "save": lambda p: (p / "w").write_bytes(b"x" * 20_000_000), "library": library_save}
        with pytest.raises(UserError, match="is full.*last committed step is intact.*sharpen resume"):
            store.commit(Position("loop", 2, 0, "this"), save[where])
        assert (store.last_commit(), checkpoints(store), count(store, "steps")) == (last, ["000001"], 1)
    with Store.open(run, write=True) as store:  # room again: go on
        assert (store.last_commit(), len(store.steps())) == (last, 1)
        store.add_step(1, "loop", 0, {})
        assert store.commit(Position("loop", 2, 0, "this"), save_text("two")).n == 2
    files = {name: content for name, content in dump(run)["files"].items() if not name.endswith("SHA256SUMS")}
    assert files == {"checkpoints/000001/weights": b"one", "checkpoints/000002/weights": b"two"}


@pytest.mark.parametrize("where", ["rows", "save"])
def test_a_file_that_may_not_grow_is_a_full_disk_too(tmp_path: Path, where: str):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Store.create(tmp_path / "run", {}) as store:
        store.commit(Position("loop", 1, 0, "this"), save_text("one"))
        if where == "rows":
            fill(store, 3)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            with pytest.raises(UserError, match="last committed step is intact"):
                store.commit(Position("loop", 2, 0), save_text("two" if where == "rows" else "x" * 2_000_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (store.last_commit().n, checkpoints(store), count(store, "tasks")) == (1, ["000001"], 0)
        assert store.commit(Position("loop", 2, 0), save_text("two")).n == 2  # room again: the same commit succeeds
        assert count(store, "tasks") == (3 if where == "rows" else 0)


# Queries.


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "run", {}) as store:
        store.add_samples("train", 0, 0, [make_sample("a"), make_sample("b")])
        store.commit(Position("loop", 1, 0))
    with Store.open(tmp_path / "run") as store:
        yield store


def test_queries_answer_by_name_and_by_place(asked: Store):
    rows = asked.rows("SELECT id, n_sampled AS n FROM rollouts WHERE id > ? ORDER BY id", ("a",))
    assert [(r["id"], r[1], dict(r)) for r in rows] == [("b", 2, {"id": "b", "n": 2})]
    assert asked.rows("WITH t AS (SELECT :x AS x) SELECT x FROM t", {"x": 5})[0]["x"] == 5
    assert asked.rows("SELECT json_extract(turns, '$[0]') FROM rollouts")[0][0] == "<answer>2</answer>"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM rollouts",
        "UPDATE rollouts SET stop = 'x'",
        "INSERT INTO meta VALUES ('a', '1') RETURNING key",
        "DROP TABLE rollouts",
        "CREATE TEMP TABLE t(x)",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "ATTACH DATABASE '/tmp/other.db' AS other",
        "VACUUM INTO '/tmp/copy.db'",
        "BEGIN IMMEDIATE",
        "SELECT 1; DELETE FROM rollouts",
        "SELECT load_extension('/tmp/evil.so')",
        "SELECT nothing FROM rollouts",
        "SELECT '\0'",
        "SELECT ?",
        "not sql",
        "",
    ],
)
@pytest.mark.parametrize("write", [False, True])
def test_queries_that_do_not_read_are_refused(asked: Store, sql: str, write: bool):
    directory = asked.directory
    before = (directory / "run.db").read_bytes()
    with Store.open(directory, write=write) as store:
        if sql == "":
            assert store.rows(sql) == []
        else:
            with pytest.raises(UserError, match="The query failed.*one statement that reads"):
                store.rows(sql)
        assert count(store, "rollouts") == 2
    assert (directory / "run.db").read_bytes() == before


def test_a_query_that_never_ends_is_stopped(asked: Store):
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(UserError, match="stopped after 0.05 s"):
        asked.rows(endless, deadline=0.05)
    assert count(asked, "rollouts") == 2  # and the next one is not
