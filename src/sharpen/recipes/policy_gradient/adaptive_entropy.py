"""Rewarding entropy just where the update is about to destroy it keeps a policy open at a price that uniform bonuses exceed.

Paper: arXiv 2508.03178 (Light-IF), token-entropy-adaptive reinforcement learning
Parent: grpo
Differs: a bonus on the entropy of each token, by its covariance of advantage and log-probability within the response. From the
    paper's code: means over the group; the covariance is detached; a weight of its own, where the code's 0 switches it off
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import entropy, example
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(weight: float = 0.01, scale: float = 10.0, cap: float = 5.0, **knobs) -> Recipe:
    bonus = partial(entropy.adaptive, weight=weight, scale=scale, cap=cap)
    return replace(grpo.recipe(**knobs), objective=bonus)


NEUTRAL = dict(weight=0.0)


def check(made: Recipe) -> bool:
    """The policy gradient itself is GRPO's; what is added is a bonus on entropy, compared within groups."""
    tableau, rewards = made.objective(), [[1, 0, 0], [1, 1]]
    same = np.allclose(example(tableau, rewards), example(grpo.recipe().objective(), rewards))
    return same and tableau.penalty is entropy.openness and tableau.together
