"""Trained on its own second and third attempts, weighted by how they came out, a model gets better from turn to turn.

Paper: arXiv 2407.18219 (RISE, recursive introspection), section 4; weights and filter as in its release
Parent: rft
Differs: episodes of several attempts, told anew with the last two before each, that end when one is right; every turn is
    imitated, weighing exp(reward / tau), tau 0.4. From the paper: the student improves on itself, no stronger model does; the
    best of 16 is the best of the group; answers that are equal are not taken out
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import data, rollouts, verify
from sharpen.core import Batch
from sharpen.objectives import turns
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(attempts: int = 3, tau: float = 0.4, window: int = 2, centred: bool = False, introspect: bool = True) -> Recipe:
    parent = rft.recipe()
    if not introspect:
        return parent
    asked = partial(rollouts.retry, attempts=attempts, until_right=True, window=window)
    objective = partial(turns.weighted, tau=tau, centred=centred)
    return replace(parent, rollout=asked, verify=verify.each_turn, select=data.keep_all, objective=objective)


NEUTRAL = dict(introspect=False)


def check(made: Recipe) -> bool:
    """At tau 0.4 a right turn weighs e^2.5 = 12.2 times a wrong one, in the same episode."""
    ones, turn = np.ones((1, 2)), np.array([[0, 1]])
    one = Batch(
        ones.astype(int), ones, -ones, np.ones(1), np.zeros(1, int), np.ones(1), np.full(1, 2), turn=turn, credit=turn * 1.0
    )
    wrong, right = made.objective().advantage(one)[0]
    return bool(np.isclose(right / wrong, np.exp(2.5)))
