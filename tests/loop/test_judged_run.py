"""A whole run whose verifier processes are killed has the rows of one that nobody disturbed."""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path

import odd_verifiers
import pytest
from test_resume import SETTINGS, rows, weights
from test_sandbox import family

import kills
from sharpen import sandbox
from sharpen.core import FatalDiagnosis, Task
from sharpen.loop import loop
from sharpen.store.store import Store
from sharpen.terminal import terminal
from sharpen.verify import judging

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


def descendants() -> list[str]:
    """Command lines of the processes below this one that are alive."""
    found = []
    for pid in family(os.getpid())[1:]:
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_text())
    return found


def test_verifiers_killed_at_any_event_lose_no_rollout_and_score_no_zero(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    start(tmp_path, "whole")
    start(tmp_path, "hunted", f"verify.notes={notes}")
    assert sum(note.stat().st_size > 0 for note in notes.iterdir()) >= 4, "processes that died"
    whole, hunted = rows(tmp_path / "whole"), rows(tmp_path / "hunted")
    assert whole == hunted and len(whole["rollouts"]) >= 8 * 16
    assert weights(tmp_path / "whole") == weights(tmp_path / "hunted")
    assert not any("verifier_process" in line for line in descendants()), "a process was left behind"


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
def test_sandboxes_killed_at_any_event_change_no_verdict(tmp_path):
    tests = [{"stdin": f"{n}\n", "stdout": f"{n * n}\n"} for n in range(3)]
    task = Task((), None, "code", 1, verifier="code_io", data={"language": "python", "tests": tests, "time_limit_s": 20.0})
    programs = [f"n = int(input())\nprint(n ** 2 {'+ 1' if i % 2 else ''})  # {i}\n" for i in range(60)]
    most = kills.events(lambda: odd_verifiers.unboxed(task, "print(1)", str(tmp_path)))
    with judging.Judges(functools.partial(odd_verifiers.unboxed, notes=str(tmp_path), most=most), workers=2) as judges:
        for i, program in enumerate(programs):
            judges.submit(str(i), task, program)
        assert [v.outcome for v in judges.collect().values()] == ["correct", "wrong"] * 30
    assert len(list(tmp_path.iterdir())) >= 4
