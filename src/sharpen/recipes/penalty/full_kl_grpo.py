"""Over the whole vocabulary the pull back has no sampling noise, so the same closeness costs less reward.

Paper: none; the divergence that the estimators of joschu.net/blog/kl-approx.html estimate
Parent: grpo
Differs: beta times KL(student || start) of each next-token distribution is in the loss; `towards` takes KL(start || student)
Tried: python -m pytest tests/objectives/test_claims.py -k kl_grpo (against k2, whose mean gradient is the same: reward 0.007
    higher, give or take 0.009, KL 0.020 higher, give or take 0.022, six seeds)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example_penalty, penalties, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(beta: float = 0.04, towards: bool = False) -> Recipe:
    return replace(grpo.recipe(), objective=partial(penalties.with_full_kl, policy_gradient.grpo, beta=beta, towards=towards))


NEUTRAL = dict(beta=0.0)


def check(made: Recipe) -> bool:
    """By hand, of (3/4, 1/4) from (1/2, 1/2): 0.04 * (3/4 log 3/2 + 1/4 log 1/2); nothing at the start itself."""
    tossed = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    loss, _ = example_penalty(made.objective(), [[np.log(3), 0], [1, 1]], [[0, 0], [1, 1]])
    return np.allclose(loss, [0.04 * tossed, 0])
