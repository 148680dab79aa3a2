"""The same rollouts, given where one more is worth most, leave fewer groups without a gradient.

Paper: arXiv 2509.25849 (Knapsack RL), section 3; at least 2 and at most 128 rollouts a prompt
Parent: uniform
Differs: solved greedily, one rollout at a time: the value is concave, so this is the optimum that the paper's dynamic
    programming finds (curriculum.exact)
Tried: python -m pytest tests/curriculum/test_curricula.py -k knapsack (half of the tasks solved one time in twenty: 1.52 times
    the mixed groups of equal rollouts where the other half never fails, 0.90 times where it fails one time in twenty, 0.28
    times with the two estimates exchanged; on the bandit with tasks of unlike difficulty +10.0 points against epochs, give or
    take 2.2)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(low: int = 2, high: int = 128) -> Recipe:
    parent = uniform.recipe()
    budget = partial(curriculum.knapsack, low=low, high=high)
    return replace(parent, curriculum=budget) if high > parent.samples else parent


NEUTRAL = dict(high=4)


def check(made: Recipe) -> bool:
    """Of success rates 0.9, 0.5 and 0.05 the rarest success gets most rollouts, the commonest fewest, and all are spent; greedy
    and dynamic programming agree."""
    p = np.array([0.9, 0.5, 0.05])
    quota = curriculum.knapsack_quota(p, 24, 8, low=2, high=128)
    same = np.isclose(curriculum.value(quota, p).sum(), curriculum.value(curriculum.exact(p, 24, low=2, high=128), p).sum())
    return same and quota.sum() == 24 and quota.argmax() == 2 and quota.argmin() == 0
