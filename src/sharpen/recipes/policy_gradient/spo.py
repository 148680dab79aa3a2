"""The share of comparisons that a response wins is a reward that needs no scale, no reward model and no transitive taste.

Paper: arXiv 2401.04056 (SPO), sections 3 and 4
Parent: rloo
Differs: the reward is the win rate against the group's other responses; here whoever has the better verdict wins. From the
    paper: on language, with the group as its batch of trajectories
Status: reproduced on a toy: python -m pytest tests/objectives/test_games.py -k plain_self_play (rock, paper, scissors: the
    average policy can be exploited by 0.149 after 250 steps, by 0.008 after 5,000; the last one circles, by 0.14 at the least)
"""

from dataclasses import replace

import numpy as np

from sharpen import data
from sharpen.objectives import example
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import rloo


def recipe(compared: bool = True) -> Recipe:
    parent = rloo.recipe()
    return replace(parent, select=data.win_rate) if compared else parent


NEUTRAL = dict(compared=False)


def check(made: Recipe) -> bool:
    """By hand: of rewards 3, 2, 1 the win rates are 1, 1/2, 0, whatever the gaps; against the others' mean: 3/4, 0, -3/4."""
    c = example(made.objective(), [[1.0, 0.5, 0.0]])[:, 0] * 3
    return np.allclose(c, [0.75, 0, -0.75]) and made.select is data.win_rate
