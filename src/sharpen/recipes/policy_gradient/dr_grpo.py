"""Without its two divisions, GRPO neither lengthens wrong answers nor overweights what is nearly always solved or failed.

Paper: arXiv 2503.20783 (Dr. GRPO), section 3.2
Parent: grpo
Differs: advantages are centred, not divided by a deviation; sums over tokens are divided by the longest response, not the own
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k dr_grpo (in the mean of 100 steps wrong answers
    grow from 4 tokens to 8.8 by GRPO, and stay at 4 here; a prompt solved once in eight weighs 0.66 of one solved every second
    time by GRPO, 0.44 here)
Tried: sharpen compare grpo rloo dr_grpo dapo gspo cispo nft rft hpt online_dpo --budget 3m --seeds 3 --set average=0.97
    --set lr=2e-4 (no difference to grpo shown: 0.0 points, -0.8 to 0.8)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(undivided: bool = True, clip: float = 0.2, max_tokens: int | None = None, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    limit = max_tokens or parent.max_tokens
    plain = partial(policy_gradient.dr_grpo, length=limit, clip=clip)
    divided = partial(policy_gradient.grpo, clip_low=clip, clip_high=clip)
    return replace(parent, objective=plain if undivided else divided, max_tokens=limit)


NEUTRAL = dict(undivided=False)


def check(made: Recipe) -> bool:
    """A token of a wrong answer weighs the same however long the answer; a rare success counts 1 - p, not sqrt((1 - p) / p)."""
    c = example(made.objective(), [[1, 0, 0, 0]], lengths=[1, 1, 9, 1])
    return bool(np.isclose(c[1, 0], c[2, 0]) and np.isclose(c[0, 0], -3 * c[1, 0]))
