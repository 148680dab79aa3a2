"""A question that the student never solves is asked again with a part of its solution: tasks without a gradient get one.

Paper: arXiv 2507.10628 (GHPO); the ladder 25, 50, 75 % and the text of the hint as in its release
Parent: grpo
Differs: where all answers of a group are wrong, the task is asked again with the beginning of its worked solution behind the
    question, up to three times a step; the last group takes the place of those before, hint and all. From the paper: the reward
    is the verifier's alone, without half a point for form
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.core import Arm, Task
from sharpen.data import hints
from sharpen.recipe import Recipe
from sharpen.recipes.played import answers, asked_again
from sharpen.recipes.policy_gradient import grpo


def recipe(rungs: int = 3, after: float = 0.0, words: str = hints.BEGINS, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    if not rungs:
        return parent
    shares = tuple(i / (rungs + 1) for i in range(1, rungs + 1))
    chosen = partial(curriculum.laddered, shares=shares, after=after, words=words)
    return replace(parent, curriculum=chosen, select=partial(hints.climbed, shares=shares, after=after), refills=rungs)


NEUTRAL = dict(rungs=0)


def check(made: Recipe) -> bool:
    """A group without a right answer waits, and is asked again with a quarter of its solution; a solved one is not."""
    failed, solved = answers(("5", 0), ("6", 0)), answers(("4", 1), ("6", 0), group=1)
    solution = "two and two is 4"
    both = [*asked_again(failed, "why?", solution), *asked_again(solved, "what?", solution)]
    again = made.curriculum({}, [Arm("sums", 1)], 2, 2, np.random.default_rng(0), tried=both, progress=0.5)
    asked = [str(what.prompt[0]["content"]) for what, _ in again if isinstance(what, Task)][0]
    kept = {s.group for s in made.select(both, progress=0.5)}
    return kept == {1} and [n for _, n in again] == [2] and asked.endswith(solution[:4])
