"""A reward for the whole response wants a ratio for the whole response: clipping single tokens adds noise, this does not.

Paper: arXiv 2507.18071 (GSPO), equations 5 to 7
Parent: grpo
Differs: the ratio is the geometric mean of the response's token ratios, and its trust region is a thousand times narrower; two
    passes, for on the first it is 1
Tried: sharpen compare grpo rloo dr_grpo dapo gspo cispo nft rft hpt online_dpo --budget 3m --seeds 3 --set average=0.97
    --set lr=2e-4 (worse than grpo by 3.9 points, 2.7 to 5.2, corrected p = 0.044, in eight tenths of the
    steps)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(whole: bool = True, clip_low: float = 3e-4, clip_high: float = 4e-4, passes: int = 2, **knobs) -> Recipe:
    inner = policy_gradient.gspo if whole else policy_gradient.grpo
    return replace(grpo.recipe(**knobs), objective=partial(inner, clip_low=clip_low, clip_high=clip_high), passes=passes)


NEUTRAL = dict(whole=False, clip_low=0.2, clip_high=0.2, passes=1)


def check(made: Recipe) -> bool:
    """On policy it is GRPO; a drift of a thousandth already ends the gradient of a right answer, and only of that."""
    plain = np.allclose(example(made.objective(), [[1, 0]]), example(policy_gradient.grpo(), [[1, 0]]))
    c = example(made.objective(), [[1, 0]], ratio=1.001)
    return plain and not c[0].any() and bool(c[1].all())
