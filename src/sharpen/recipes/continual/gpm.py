"""A gradient that leaves the inputs of earlier task sets alone cannot change what is answered to them.

Paper: arXiv 2103.09762 (gradient projection memory), sections 4 and 5
Parent: cuber
Differs: the part in an old input space is always taken off. From the paper as cuber, and spaces of different stages are made
    orthogonal when they are used, not when they are stored
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import gradients, policy_gradient
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.continual import cuber
from sharpen.recipes.held import held


def recipe(back: bool = False, energy: float = 0.95) -> Recipe:
    parent = cuber.recipe(energy=energy)
    objective = partial(gradients.project, policy_gradient.sft, energy=energy, back=False)
    return parent if back else replace(parent, objective=objective)


NEUTRAL = dict(back=True)


def check(made: Recipe) -> bool:
    """Whichever way it goes, a gradient loses its part in the old space."""
    import torch

    past = {"space0": [[1.0], [0.0]], "gradient0": [[1.0, 0.0]]}
    found = held(first_objective(made), torch.zeros(1, 2), [[2.0, 1.0]], past)
    return np.allclose(found, [[0.0, 1.0]])
