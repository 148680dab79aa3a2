"""A step that would go against the memory of earlier task sets, and only that, is bent: less is forgotten, for one gradient.

Paper: arXiv 1812.00420 (A-GEM), equation 11
Parent: replay
Differs: replayed rows are not learnt from; where the gradient goes against theirs it loses its part along it, and else it
    stays. From the paper: none but the memory (replay)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import gradients, policy_gradient, rehearsal
from sharpen.recipe import Recipe
from sharpen.recipes.continual import replay


def recipe(bend: bool = True, share: float = 0.5, size: int = 512) -> Recipe:
    parent = replay.recipe(share=share, size=size)
    return replace(parent, objective=partial(rehearsal.projected, policy_gradient.sft)) if bend else parent


NEUTRAL = dict(bend=False)


def check(made: Recipe) -> bool:
    """(1, -2) against (0, 1) becomes (1, 0), which is at right angles; (1, 2), which goes with it, stays as it is."""
    import torch

    found = []
    for gradient in ([1.0, -2.0], [1.0, 2.0]):
        weight = torch.zeros(2, requires_grad=True)
        weight.grad = torch.tensor(gradient)
        gradients.away_from({"w": weight}, {}, [torch.tensor([0.0, 1.0])])
        found.append(weight.grad.tolist())
    return found == [[1.0, 0.0], [1.0, 2.0]] and bool(np.isfinite(made.lr))
