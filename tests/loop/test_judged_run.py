"""A whole run whose verifier processes are killed at random has the rows of one that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_resume import SETTINGS, rows, weights

from sharpen import sandbox
from sharpen.core import FatalDiagnosis, Task
from sharpen.loop import loop
from sharpen.store.store import Store
from sharpen.terminal import terminal
from sharpen.verify import judging, verdicts

OWN = """
from dataclasses import replace
from odd_verifiers import noted  # in a module that does not import torch: its processes start at once
from sharpen.recipes.loop import quickstart

def recipe(**knobs):
    return replace(quickstart.recipe(**knobs), verify=noted)
"""


def start(directory: Path, name: str, *more: str, steps: int = 8) -> Path:
    own = directory / "own.py"
    own.write_text(OWN)
    settings = (*SETTINGS, "guard=always", *more)
    return loop.start(
        loop.Request(str(own), settings, 7, f"{steps}steps", None, "chain_sum/1-2", directory / name), terminal.Quiet()
    )


def descendants() -> dict[int, tuple[int, str]]:
    """{process: (how far down from this one, command line)} of all that are alive and have a command line."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found: dict[int, tuple[int, str]] = {}
    for pid in parents:
        depth, above = 0, pid
        while above in parents and above != os.getpid():
            depth, above = depth + 1, parents[above]
        if above == os.getpid() and depth:
            try:
                found[pid] = depth, Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
    return found


@contextmanager
def killer(is_prey: Callable[[int, int, str], bool], least: int) -> Iterator[list[int]]:
    """Kills one of our descendants (process, depth, command line) that are prey now and then, as long as `least` are there."""
    rng, stop, killed = random.Random(0), threading.Event(), []

    def hunt() -> None:
        while not stop.wait(0.15 + 0.1 * rng.random()):
            prey = [pid for pid, (depth, line) in descendants().items() if is_prey(pid, depth, line)]
            if len(prey) >= least:
                killed.append(rng.choice(sorted(prey)))
                os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=hunt)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def test_verifiers_killed_at_random_lose_no_rollout_and_score_no_zero(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    start(tmp_path, "whole")
    # Two that have judged before, so that one of them goes on: what is lost twice by our doing would be unscorable.
    with killer(lambda pid, depth, line: (notes / str(pid)).exists(), least=2) as killed:
        start(tmp_path, "hunted", f"verify.notes={notes}")
    assert len(killed) >= 2
    whole, hunted = rows(tmp_path / "whole"), rows(tmp_path / "hunted")
    assert whole == hunted and len(whole["rollouts"]) >= 8 * 16
    assert weights(tmp_path / "whole") == weights(tmp_path / "hunted")
    assert not any(line for depth, line in descendants().values() if "verifier_process" in line), "a process was left behind"


def test_a_run_whose_verifier_fails_too_often_stops(tmp_path):
    with pytest.raises(FatalDiagnosis, match="unscorable.*limit 0.1"):
        start(tmp_path, "run", "verify.fails=0.3", "unscorable_limit=0.1", steps=20)
    with Store.open(tmp_path / "run") as store:
        assert [d.name for _, d in store.diagnoses() if d.fatal] == ["unscorable"]
        assert store.last_commit().step == 6 + 5  # after the warm-up, as soon as there are enough steps to tell
        lost = store.rows("SELECT rollout, reward FROM verdicts WHERE outcome = 'unscorable'")
        trained = {rollout for (rollout,) in store.rows("SELECT rollout FROM batches")}
    assert lost and all(reward is None and rollout not in trained for rollout, reward in lost)


def test_a_task_that_could_not_be_judged_is_not_counted_as_failed(tmp_path):
    start(tmp_path, "run", "verify.fails=0.5", "verify.split=validation", "unscorable_limit=1.0", steps=2)
    with Store.open(tmp_path / "run") as store:
        lost = store.rows(
            "SELECT count(*) FROM rollouts r JOIN verdicts v ON v.rollout = r.id"
            " WHERE r.purpose = 'validation' AND r.round = 0 AND v.outcome = 'unscorable'"
        )[0][0]
        evaluation = store.evaluation(0, "validation")
    solved = [one for arm in evaluation.correct.values() for one in arm]
    assert solved.count(None) == lost and 0 < lost < len(solved) and evaluation.n == len(solved) - lost


def test_an_evaluation_that_cannot_be_judged_stops_the_run(tmp_path):
    with pytest.raises(FatalDiagnosis, match="(?s)6 of 6.*no verdict on this one"):
        start(tmp_path, "run", "verify.fails=1.0", "verify.split=test")


@pytest.mark.skipif(sandbox.probe().level != "full", reason="needs the whole sandbox")
def test_sandboxes_killed_at_random_change_no_verdict():
    tests = [{"stdin": f"{n}\n", "stdout": f"{n * n}\n"} for n in range(3)]
    task = Task((), None, "code", 1, verifier="code_io", data={"language": "python", "tests": tests, "time_limit_s": 20.0})
    programs = [f"n = int(input())\nprint(n ** 2 {'+ 1' if i % 2 else ''})  # {i}\n" for i in range(60)]
    with (
        judging.Judges(verdicts.verify, workers=2) as judges,
        killer(lambda pid, depth, line: depth == 2 and "python" in line, least=2) as killed,
    ):
        for _ in range(30):  # however quick this machine is, some are killed in the midst of it
            for i, program in enumerate(programs):
                judges.submit(str(i), task, program)
            assert [v.outcome for v in judges.collect().values()] == ["correct", "wrong"] * 30
            if len(killed) >= 3:
                break
    assert len(killed) >= 3
