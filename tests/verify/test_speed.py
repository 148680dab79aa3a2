"""Measured speed-up: nothing for the same program, nothing for a wrong one, and the sign test decides what is luck."""

from __future__ import annotations

import math
import random

import pytest

from sharpen.core import Ran, Run, Task
from sharpen.recipes import growing
from sharpen.verify import speed

TASK = Task(({"role": "user", "content": "Add."},), None, "sums", 1, verifier="code_io", solution="old")
TESTS = [{"stdin": "1", "stdout": "1\n"}, {"stdin": "1 2 3", "stdout": "6\n"}]


def judged(new, task=TASK, tests=TESTS, runs=9):
    """The verdict, where old takes a second and is right, and new is a function of its input to (text, seconds)."""

    def ran(event: Run) -> Ran:
        gold = next(t["stdout"] for t in tests if t["stdin"] == event.stdin)
        said, seconds = (gold, 1.0) if event.code == "old" else new(event.stdin, gold)
        return Ran("ok", said, "", seconds)

    whole = Task(task.prompt, None, task.family, 1, verifier="code_io", data={"tests": tests}, solution=task.solution)
    return growing.driven(speed.speedup(whole, "```python\nnew\n```", runs), str, ran)[0]


def test_faster_is_paid_by_its_logarithm_and_no_more_than_the_largest():
    rewards = {times: judged(lambda given, gold, times=times: (gold, 1 / times)).reward for times in (1, 2, 40, 1000)}
    assert rewards == {1: 0.0, 2: pytest.approx(math.log(2) / math.log(40)), 40: pytest.approx(1.0), 1000: pytest.approx(1.0)}


def test_a_wrong_program_is_paid_nothing_however_fast():
    for wrong in (lambda given, gold: ("7", 0.01), lambda given, gold: (gold if given == "1" else "0", 0.01)):
        verdict = judged(wrong)
        assert (verdict.outcome, verdict.reward) == ("wrong", 0.0)


def test_an_old_program_that_fails_its_own_tests_is_our_fault():
    broken = growing.driven(
        speed.speedup(Task(TASK.prompt, None, "sums", 1, data={"tests": TESTS}, solution="old"), "new"),
        str,
        lambda event: Ran("ok", "?", "", 1.0),
    )[0]
    assert broken.reward is None
    assert growing.driven(speed.speedup(Task(TASK.prompt, None, "sums", 1), "new"), str)[0].reward is None


def test_identical_programs_are_hardly_ever_paid():
    """100 trials of the same program against itself with 10 % noise: by the sign test one in twenty at most, for nine runs
    2 %; by hand: eight or nine of nine faster, (9 + 1) / 512."""
    rng = random.Random(0)
    paid = sum(speed.paid([rng.gauss(1, 0.1) / rng.gauss(1, 0.1) for _ in range(9)]).reward > 0 for _ in range(100))
    assert paid <= 6 and speed.by_luck(8, 9) == pytest.approx(10 / 512)
