"""Subjects learnt level by level, all together, beat the same tasks in random order, and one subject after another.

Paper: arXiv 2310.09518 (Instruction Tuning with Human Curriculum, CORGI), abstract: the interleaved order, from level to level
    across all subjects
Parent: uniform
Differs: subjects are families, stages their levels; a tenth of the pool is open at a time. `by_subject` goes through the
    subjects one by one instead, the paper's blocked control. From the paper: no catalogue of subjects and no questions written
    for it, and cognitive levels within a subject are the task source's
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import orders, testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(window: float = 0.1, by_subject: bool = False) -> Recipe:
    parent = uniform.recipe()
    order = orders.blocked_ascending if by_subject else orders.ascending
    return replace(parent, curriculum=partial(curriculum.in_turn, order=order, window=window)) if window < 1 else parent


NEUTRAL = dict(window=1.0)


def check(made: Recipe) -> bool:
    """Of four levels each has its quarter of the run, in order."""
    shares = testbed.run(made.curriculum, testbed.Bandit(tasks=40), steps=40, prompts=8, samples=2).shares()
    quarters = [shares[i + 3 : i + 7].mean(axis=0) for i in range(0, 40, 10)]
    return [int(q.argmax()) for q in quarters] == [0, 1, 2, 3] and min(q.max() for q in quarters) > 0.7
