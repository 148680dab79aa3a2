"""A small bonus for uncertainty keeps the student trying other answers after it has found one.

Paper: Williams and Peng 1991 (Connection Science 3), the entropy term; arXiv 1602.01783 (A3C), section 4
Parent: grpo
Differs: `bonus` times the entropy of each next-token distribution is taken off the loss
Tried: python -m pytest tests/objectives/test_claims.py -k clip_cov (a table of logits at two rates: entropy after 50 steps 0.42
    and 0.09 as by GRPO with the bonus of 0.001, 0.55 and 0.25 with 0.1)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example_penalty, penalties, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(bonus: float = 0.001) -> Recipe:
    return replace(grpo.recipe(), objective=partial(penalties.with_entropy, policy_gradient.grpo, bonus=bonus))


NEUTRAL = dict(bonus=0.0)


def check(made: Recipe) -> bool:
    """A coin costs -0.001 log 2, and has no gradient; an uneven one is driven towards it."""
    loss, gradient = example_penalty(made.objective(), [[0.0, 0.0], [1.0, 0.0]])
    return np.isclose(loss[0], -0.001 * np.log(2)) and np.allclose(gradient[0], 0) and bool(gradient[1, 0] > 0 > gradient[1, 1])
