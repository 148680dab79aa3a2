"""Imitate where every attempt fails, practise elsewhere: one gate beats both, and either after the other.

Paper: arXiv 2509.04419 (HPT), sections 3 and 4; the released gate, advantages without deviation, a constant length
Parent: dr_grpo
Differs: a prompt whose share of right answers is at most `gate` is learnt from its worked solution instead. From the script:
    the clip stays on; no entropy bonus
Tried: sharpen compare grpo rloo dr_grpo dapo gspo cispo nft rft hpt online_dpo --budget 3m --seeds 3 --set average=0.97
    --set lr=2e-4 (no difference to grpo shown: 2.8 points, 1.4 to 4.1, corrected p = 0.084, in six tenths of the steps)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, hybrid
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import dr_grpo


def recipe(shown: bool = True, gate: float = 0.0, max_tokens: int | None = None) -> Recipe:
    parent = dr_grpo.recipe(max_tokens=max_tokens)
    if not shown:
        return parent
    rescued = partial(hybrid.rescued, gate=gate)
    return replace(parent, select=rescued, objective=partial(hybrid.hpt, length=parent.max_tokens))


NEUTRAL = dict(shown=False)


def check(made: Recipe) -> bool:
    """Without a worked solution it is Dr. GRPO, bit for bit; a prompt with one alone is SFT: 1 / tokens."""
    rewards = [[1, 0], [1, 1, 0]]
    same = np.array_equal(example(made.objective(), rewards), example(dr_grpo.recipe().objective(), rewards))
    return same and np.allclose(example(made.objective(), [[1]], [4], forced=[0]), 1 / 4)
