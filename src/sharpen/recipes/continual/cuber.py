"""Projecting a gradient out of old input spaces keeps old tasks; let in where they gain, it makes them better, unreplayed.

Paper: arXiv 2211.00789 (CUBER), sections 3 and 4, from memory; gradient projection memory, arXiv 2103.09762
Parent: sft
Differs: of each weight matrix the part of a gradient in an old stage's input space is taken off, unless the stage is positively
    related: that part is at least `near` of it, and has a cosine of at least `along` with the stage's own gradient. From the
    paper: spaces are those of gradients, which lie in the span of inputs; no scaling inside them; embeddings are matrices like
    others
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import gradients, policy_gradient
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.held import held
from sharpen.recipes.supervised import sft


def recipe(energy: float = 0.95, near: float = 0.5, along: float = 0.0) -> Recipe:
    objective = partial(gradients.project, policy_gradient.sft, energy=energy, near=near, along=along)
    return replace(sft.recipe(), objective=objective) if energy else sft.recipe()


NEUTRAL = dict(energy=0.0)


def check(made: Recipe) -> bool:
    """An old space along the first input: a gradient against the old one loses that column, one that goes with it keeps it."""
    import torch

    tableau, past = first_objective(made), {"space0": [[1.0], [0.0]], "gradient0": [[1.0, 0.0]]}
    against, along = (held(tableau, torch.zeros(1, 2), [g], past) for g in ([-2.0, 1.0], [2.0, 1.0]))
    return np.allclose(against, [[0.0, 1.0]]) and np.allclose(along, [[2.0, 1.0]])
