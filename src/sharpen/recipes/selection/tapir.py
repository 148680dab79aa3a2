"""Balanced kinds of tasks, and ever more of those that a teacher can do and the student cannot, make a better student.

Paper: arXiv 2405.13448 (TAPIR), abstract; the balance of kinds as in its toolkit EasyDistill
Parent: grpo
Differs: a task's model fitting difficulty is 1 - its latest success rate, since a right worked answer is what the teacher gives
    here, and verdicts are the judge; kinds are families, in equal shares unless `shares` says otherwise. From the paper: its
    formula is not public, and answers are not rewritten in a style for each kind
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.core import Arm
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe, call
from sharpen.recipes.policy_gradient import grpo


def recipe(hard: float = 0.5, delta: float = 0.5) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, curriculum=partial(curriculum.fitting, hard=hard, delta=delta)) if delta else parent


NEUTRAL = dict(delta=0.0)


def check(made: Recipe) -> bool:
    """Half of the prompts are hard at the beginning, all of them at the end; what was tried and solved is not hard."""
    attempts = testbed.Attempts(testbed.Bandit(tasks=20).source, 0, 20)
    attempts.latest[:] = 1.0
    attempts.latest[::2] = 0.0

    def share(progress: float) -> float:
        rng = np.random.default_rng(0)
        chosen = call(made.curriculum, {}, [Arm("a", 1)], 20, 4, rng, attempts=attempts, progress=progress)
        return sum(attempts.numbers[task.id] % 2 == 0 for task, _ in chosen) / 20

    return share(0.0) == getattr(made.curriculum, "keywords", {})["hard"] and share(1.0) == 1.0
