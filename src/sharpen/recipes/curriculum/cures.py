"""Sampling prompts, and rollouts for them, by the deviation of their reward lowers the loss fastest for the budget.

Paper: arXiv 2510.01037 (CurES), sections 3 and 4; 15 subsets
Parent: uniform
Differs: gradient norms are taken to be equal, so that a quota is proportional to sqrt(p (1 - p)); no warm-up rollouts: untried
    tasks stand at 1/2 and come first; temperature by the paper's formula (the release's makes it uniform)
Tried: python -m pytest tests/curriculum/test_curricula.py -k do_not_gain (on the bandit, whose tasks are alike within a level,
    3.8 points below uniform on the hardest level, give or take 1.2, ten seeds, one subset; on the embedded student, three
    minutes a run, in quickstart no difference to even practice shown, -0.7 points, -2.2 to 0.8)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(by_posterior: bool = True, temperature: float = 0.1, subsets: int = 15, low: int = 2) -> Recipe:
    parent = uniform.recipe()
    quota = partial(curriculum.cures, temperature=temperature, subsets=subsets, low=low)
    return replace(parent, curriculum=quota) if by_posterior else parent


NEUTRAL = dict(by_posterior=False)


def check(made: Recipe) -> bool:
    """Half-solved tasks get most prompts and most rollouts a prompt; every step spends its total."""
    trace = testbed.run(
        made.curriculum, testbed.Bandit((-9, 0, testbed.WALL), transfer=0, rate=0, tasks=150), steps=150, prompts=8
    )
    pairs = [(what.level, n) for choices in trace.chosen for what, n in choices]
    mean = [np.mean([n for level, n in pairs if level == k]) for k in range(3)]
    return (
        trace.shares().mean(axis=0).argmax() == 1
        and mean[1] > max(mean[0], mean[2])
        and all(sum(n for _, n in choices) == 64 for choices in trace.chosen)
    )
