"""A student that learns to tell worked solutions from its own answers needs no preferences and no rewards.

Paper: arXiv 2401.01335 (SPIN), equation 4.7; beta 0.1
Parent: dpo
Differs: the worked solution is preferred to every own answer, whatever the verdicts; the reference and opponent is the last
    round that was kept; from the paper: own answers are drawn anew each step instead of once an iteration
Status: reproduced on a toy: python -m pytest tests/objectives/test_games.py -k error_of_spin (exact rounds on six answers: the
    error in log-probability is halved at beta 2 and gone in one round at 1; below 1/2 it grows, so that the 0.1 here rests on
    rounds being short)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import pairs
from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(beta: float = 0.1, hinge: bool = False, against_itself: bool = True) -> Recipe:
    parent = dpo.recipe()
    if not against_itself:
        return replace(parent, objective=partial(preferences.dpo, beta=beta))
    return replace(parent, select=pairs.demo_vs_own, objective=partial(preferences.spin, beta=beta, hinge=hinge))


NEUTRAL = dict(against_itself=False)


def check(made: Recipe) -> bool:
    """The opponent moves with the student, and a pair that nobody has learned from yet is pulled apart by beta / 2."""
    c = example(made.objective(), [[1, 0]], lengths=[1, 1])[:, 0]
    return made.objective().reference == "accepted" and np.allclose(c, [0.05, -0.05])
