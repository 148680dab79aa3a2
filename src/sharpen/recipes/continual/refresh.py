"""Unlearning a little before each step makes weights settle where they are flat, so less is forgotten: a plug-in.

Paper: arXiv 2403.13249 (a unified framework with refresh learning), algorithm 1
Parent: der
Differs: before each step the weights move by `delta` of their size, tensor by tensor, up the batch's gradient, and learn from
    there. From the paper: delta is larger, for Adam; no noise, no Fisher information in the move
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import gradients
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.continual import der


def recipe(delta: float = 1e-3, alpha: float = 0.5, beta: float = 0.5, share: float = 0.5, size: int = 512) -> Recipe:
    parent = der.recipe(alpha=alpha, beta=beta, share=share, size=size)
    return replace(parent, objective=partial(gradients.refreshed, parent.objective, delta=delta)) if delta else parent


NEUTRAL = dict(delta=0.0)


def check(made: Recipe) -> bool:
    """A weight (3, 4) with the gradient (0, 2) goes up it by delta * 5."""
    import torch

    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    weight.grad = torch.tensor([0.0, 2.0])
    stir = first_objective(made).stir
    assert stir is not None
    with torch.no_grad():
        stir({"w": weight})
    return np.allclose(weight.detach(), [3.0, 4.005])
