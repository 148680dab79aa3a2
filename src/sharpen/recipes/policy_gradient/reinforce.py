"""The plain policy gradient with a baseline: reward minus the batch's mean, times the response's log-probability.

Paper: Williams 1992 (Machine Learning 8), section 4; Sutton and Barto 2018, section 13.4
Parent: none
Differs: from GRPO, whose tasks and numbers it takes: no groups, no deviation, no likelihood ratio; a response counts whole
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(baseline: bool = True) -> Recipe:
    return replace(grpo.recipe(), objective=partial(policy_gradient.reinforce, baseline=baseline))


NEUTRAL: dict[str, object] = {}


def check(made: Recipe) -> bool:
    """By hand: mean 3/4, so +1/4 and -3/4, over four responses; a group all right is still pushed up."""
    c = example(made.objective(), [[1, 0], [1, 1]])[:, 0]
    return np.array_equal(c, [1 / 16, -3 / 16, 1 / 16, 1 / 16])
