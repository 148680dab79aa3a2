"""Answers whose worth a first look misjudges weigh less at first: a ranker is not led astray before it knows anything.

Paper: arXiv 2004.14269 (Training Curricula for Open Domain Answer Re-Ranking), equations of the pointwise curriculum
Parent: grpo
Differs: what is ranked are the student's own answers to a prompt, and the first look is their rank by likelihood under the
    student, 1 / rank: W = D (1 - t / until) + t / until, D being 1 / rank of a right answer and 1 - 1 / rank of a wrong one.
    From the paper: weights for policy gradients on own answers, not for a neural ranker over passages by BM25, and per answer,
    where the release multiplies means
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import easing
from sharpen.recipe import Recipe
from sharpen.recipes.played import settings
from sharpen.recipes.policy_gradient import grpo


def recipe(until: float = 0.5, hard_first: bool = False, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    return replace(parent, select=partial(easing.eased, until=until, hard_first=hard_first)) if until else parent


NEUTRAL = dict(until=0.0)


def check(made: Recipe) -> bool:
    """By hand: the likeliest of four answers is wrong and weighs 0 at first, 1/2 halfway and 1 at the end; right, it weighs
    1."""
    until = settings(made.select)["until"]
    wrong = [easing.weight(easing.easiness(rank=1, right=False), t * until, until) for t in (0, 0.5, 1, 3)]
    right = [easing.weight(easing.easiness(rank=r, right=True), 0.0, until) for r in (1, 2, 4)]
    return bool(np.allclose(wrong, [0, 0.5, 1, 1]) and np.allclose(right, [1, 0.5, 0.25]))
