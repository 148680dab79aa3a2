"""Clipping the weight, not the gradient, keeps the rare tokens that start a new thought, and learns faster on reused rollouts.

Paper: arXiv 2506.13585 (MiniMax-M1), section 3.1, equations 4 and 5
Parent: grpo
Differs: the ratio is a weight, at most `high`, and no token loses its gradient; mean over tokens; two passes. From the paper,
    which gives no bound: 5, the bound that others found
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k cispo (four passes at two rates, right answers
    rare at first: 90 % after 25 and 9 steps, by GRPO after 41 and 24)
Tried: sharpen compare grpo rloo dr_grpo dapo gspo cispo nft rft hpt online_dpo --budget 3m --seeds 3 --set average=0.97
    --set lr=2e-4 (worse than grpo by 11.8 points, 8.5 to 15.1, corrected p = 0.038, with two passes at this rate)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(capped: bool = True, high: float = 5.0, passes: int = 2, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    return replace(parent, objective=partial(policy_gradient.cispo, high=high) if capped else parent.objective, passes=passes)


NEUTRAL = dict(capped=False, passes=1)


def check(made: Recipe) -> bool:
    """Where PPO's clip has ended the gradient, this one is still `high` times what it was."""
    far, near = (example(made.objective(), [[1, 0]], ratio=ratio)[0, 0] for ratio in (100.0, 1.0))
    return bool(np.isclose(far, 5 * near)) and not example(policy_gradient.grpo(), [[1, 0]], ratio=100.0)[0].any()
