"""Passes over subsets that grow and shrink, easy tasks more often, beat an order from easy to hard.

Paper: arXiv 2202.05531 (Cyclical curriculum learning), algorithm 1; sizes 0.25 to 1, factor 0.5
Parent: uniform
Differs: 1 / loss is -1 / log of the arm's success in the first evaluation, where the paper trains a model for it beforehand
Status: refuted here: pytest tests/curriculum/test_curricula.py -k cyclical_is_worse (0.45 points below a ladder, give or take
    0.09, on the bandit with a fifth of the arms beyond reach)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(smallest: float = 0.25, factor: float = 0.5) -> Recipe:
    parent = uniform.recipe()
    swing = partial(curriculum.cyclical, smallest=smallest, factor=factor)
    return replace(parent, curriculum=swing) if smallest < 1 else parent


NEUTRAL = dict(smallest=1.0)


def check(made: Recipe) -> bool:
    """On 64 tasks the passes have 16, 32, 64 and 32; within each every task comes once."""
    trace = testbed.run(made.curriculum, testbed.Bandit(tasks=16), steps=36, prompts=4, samples=2)
    tasks = [task.id for task in trace.tasks()]
    ends = np.cumsum([0, 16, 32, 64, 32])
    return all(len(set(tasks[a:b])) == b - a for a, b in zip(ends, ends[1:], strict=False))
