"""Supervised learning can use its own mistakes: one implicit negative policy makes it as good as policy gradients.

Paper: arXiv 2505.18116 (NFT), sections 3 and 4; floor and clamps as in the authors' code
Parent: dr_grpo
Differs: off policy, a wrong token is lowered by (1 - p) R / max(1 - p R, floor (1 - p)) instead of R, a right one is raised
    by 1 and nothing is clipped; two passes
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k own_answers (a table of logits, two passes at
    two rates: 13 and 95 % right, by Dr. GRPO 14 and 93, from 4)
Tried: sharpen compare grpo rloo dr_grpo dapo gspo cispo nft rft hpt online_dpo --budget 3m --seeds 3 --set average=0.97
    --set lr=2e-4 (no difference to grpo shown: -5.7 points, -11.2 to -0.3, corrected p = 0.23; two of three runs fell)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import dr_grpo


def recipe(implicit: bool = True, floor: float = 1.0, passes: int = 2, max_tokens: int | None = None) -> Recipe:
    parent = dr_grpo.recipe(max_tokens=max_tokens)
    negative = partial(policy_gradient.nft, length=parent.max_tokens, floor=floor)
    return replace(parent, objective=negative if implicit else parent.objective, passes=passes)


NEUTRAL = dict(implicit=False, passes=1)


def check(made: Recipe) -> bool:
    """On policy it is Dr. GRPO; off policy a wrong token is lowered by no more than R, a right one raised by 1."""
    rewards = [[1, 0, 0, 0]]
    plain = example(dr_grpo.recipe().objective(), rewards)
    far = example(made.objective(), rewards, ratio=3.0)
    return np.allclose(example(made.objective(), rewards), plain) and np.allclose(far[:2, 0] / plain[:2, 0], [1, 3])
