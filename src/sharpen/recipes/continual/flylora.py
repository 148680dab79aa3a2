"""Adapters whose stages learn at ranks of their own, over a frozen sparse projection, interfere less than plain ones.

Paper: arXiv 2510.08396 (FlyLoRA), section 3; rank 32, 8 active, density 8 / 32
Parent: sft
Differs: A is a frozen sparse random matrix and only B learns, at `active` ranks that belong to the stage. From the paper: the
    stage chooses the ranks, not the size of each question's projection, for a mask that depends on the input is no weight that
    could be merged and exported; so there is no balance of their loads either
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import gradients, policy_gradient
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.held import held, keeper, passage
from sharpen.recipes.supervised import sft


def recipe(active: int = 8, rank: int = 32, density: float = 0.25) -> Recipe:
    objective = partial(gradients.implicit_experts, policy_gradient.sft, active=active, density=density)
    return replace(sft.recipe(), lora=rank, objective=objective) if active else sft.recipe()


NEUTRAL = dict(active=0)


def check(made: Recipe) -> bool:
    """A has a quarter of its entries; of 32 ranks the second stage learns at 8 to 15; and A not at all."""
    tableau, a, b = first_objective(made), "q.lora_A.x.weight", "q.lora_B.x.weight"
    kept = keeper(tableau)(passage(np.ones((32, 16)), [], stage=0, name=a))[f"set:{a}"]
    found = held(tableau, np.zeros((3, 32)), np.ones((3, 32)), {}, name=b)
    frozen = held(tableau, np.zeros((32, 16)), np.ones((32, 16)), {"set": kept}, name=a)
    return int((kept != 0).sum()) == 32 * 4 and found[0].nonzero()[0].tolist() == [*range(8, 16)] and not frozen.any()
