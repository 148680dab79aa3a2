"""A tiny run without a model, killed again and again: python interrupted_run.py DIRECTORY never | faults | events | bytes.

What each step writes depends on the weights and on the history that it finds, so a step lost, done twice or built on the wrong
checkpoint changes every row after it. Each attempt is a forked child, so that a kill costs milliseconds.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import kills
from sharpen.core import Arm, ArmStats, Decision, Evaluation, Rollout, Sample, Task, UserError, Verdict
from sharpen.hashing import derive
from sharpen.store.store import FAULTS, Position, Store

ROUNDS, STEPS = 12, 2
ARM = Arm("sum", 1)


def make_samples(step: int, weights: np.ndarray) -> list[Sample]:
    rng = np.random.default_rng(derive(int(weights.sum()), step))
    samples = []
    for i in range(6):
        task = Task(({"role": "user", "content": f"{step} + {i // 3}"},), str(step + i // 3), ARM.family, ARM.level)
        sampled = np.arange(20) >= 5
        logprobs = np.where(sampled, rng.normal(size=20), 0).astype(np.float32)
        text, tokens = f"<answer>{rng.integers(9)}</answer>", rng.integers(0, 50, 20, dtype=np.int32)
        rollout = Rollout(task, tokens, sampled, logprobs, (text,), "end", step, derive(step, i), f"{step:04d}.{i}")
        samples.append(Sample(rollout, Verdict("correct", 1.0) if i % 2 else Verdict("wrong", 0.0), i // 3))
    return samples


def run(directory: Path, fault: Callable[[str], object]) -> None:
    """Begin the run or go on with it, to its end."""
    try:
        store = Store.open(directory, write=True, fault=fault)
    except UserError:
        store = Store.create(directory, {"seed": 0}, fault=fault)
    with store:
        weights = np.zeros(4, dtype=np.int64)

        def save(path: Path) -> None:
            (path / "weights").write_bytes(weights.tobytes())
            fault("saving")
            (path / "optimizer").mkdir()
            (path / "optimizer" / "state").write_bytes(weights.tobytes() * 2000)

        last = store.last_commit()
        step = last.step if last else 0
        if last and last.checkpoint:
            weights = load(store, last.checkpoint)
        while step < ROUNDS * STEPS:
            number = step // STEPS
            samples = make_samples(step, weights)
            weights = (weights * 7 + derive(step) + len(store.history().get(ARM, ()))) % 1_000_003
            store.add_samples("train", step, number, samples)
            store.add_batch(step, samples[::2])
            store.add_step(step, "loop", number, {"reward": 0.5, "weights": weights.tolist()})
            store.add_arm_stats([ArmStats(step, ARM, 6, 3, 0.5, 90)])
            store.add_timing("learn", 1.0, step)
            step += 1
            if step % STEPS:
                store.commit(Position("loop", step, number), save)
                continue
            evaluation = Evaluation({ARM: (True, bool(weights[0] % 2), False)})
            store.add_evaluation(number, "validation", evaluation)
            answer = ("better", "unclear", "worse")[number % 3]
            store.add_decision(number, Decision(answer, "because", {"mean": evaluation.accuracy}))
            if answer != "worse":
                store.commit(Position("loop", step, number, "this" if answer == "better" else "keep"), save)
            else:
                last = store.commit(Position("loop", step, number, accepted="back"))
                assert last.accepted
                weights = load(store, last.accepted)
        if not (last := store.last_commit()) or not last.finished:
            store.commit(Position("done", step, ROUNDS - 1, finished=True))


def load(store: Store, name: str) -> np.ndarray:
    path = store.checkpoint_path(name)
    weights = np.frombuffer((path / "weights").read_bytes(), np.int64)
    assert (path / "optimizer" / "state").read_bytes() == weights.tobytes() * 2000
    return weights


def check(directory: Path) -> None:
    """What is on disk right after a kill is one whole commit."""
    if not (directory / "run.db").is_file():
        return
    db = sqlite3.connect(f"file:{directory}/run.db?mode=ro", uri=True)
    sql = "SELECT coalesce(max(n), 0), coalesce(max(step), 0), checkpoint, accepted FROM commits"
    n, step, *names = db.execute(sql).fetchone()
    counts = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("steps", "rollouts", "verdicts")}
    assert counts == {"steps": step, "rollouts": 6 * step, "verdicts": 6 * step}, (n, counts)
    for name in filter(None, names):
        assert (directory / "checkpoints" / name / "optimizer" / "state").stat().st_size == 64_000, name
    db.close()


def undisturbed(name: str) -> None:
    """The fault that is none."""


def attempt(directory: Path, fault: Callable[[str], object] = undisturbed, arm: kills.Arm | None = None) -> bool:
    """Run in a child. True if it was killed."""
    killed = kills.attempt(lambda: run(directory, fault), arm)
    check(directory)
    return killed


def kill_at(name: str, skip: int) -> Callable[[str], object]:
    seen = [0]

    def fault(passed: str) -> None:
        seen[0] += passed == name
        if seen[0] > skip:
            kills.die()

    return fault


def main(directory: Path, mode: str) -> None:
    killed = []
    rng = random.Random(0)
    if mode == "faults":
        for name in ("saving", *FAULTS):
            for skip in (0, 1):
                killed.append(attempt(directory, kill_at(name, skip)))
        assert all(killed), killed
    if mode in ("events", "bytes"):
        with tempfile.TemporaryDirectory() as other:
            total = kills.events(lambda: run(Path(other) / "run", undisturbed))
    if mode == "events":  # no attempt gets further than a tenth of the way
        while attempt(directory, arm=kills.at(rng.randint(1, total // 10))):
            killed.append(True)
        assert len(killed) >= 9, killed
    if mode == "bytes":  # in the midst of a write to a checkpoint, the database or its log, with some progress between two
        for _ in range(20):
            byte = rng.randint(1, rng.choice((64_000, 600_000)))
            killed.append(attempt(directory, arm=kills.at_byte(byte)))
            attempt(directory, arm=kills.at(rng.randint(1, total // 10)))
        assert sum(killed) >= 10, killed
    assert not attempt(directory)
    print(sum(killed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
