"""One fading importance for all that is past holds as much as a term for each task set, and lets the oldest go.

Paper: arXiv 1805.06370 (progress and compress), section 4; the decay is gamma there
Parent: ewc
Differs: F is decay times the old plus the new, and the anchor is where the last stage ended
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import consolidation, policy_gradient
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.continual import ewc
from sharpen.recipes.held import keeper, passage


def recipe(decay: float = 0.9, strength: float = 100.0, samples: int = 128) -> Recipe:
    parent = ewc.recipe(strength=strength, samples=samples)
    objective = partial(consolidation.online_ewc, policy_gradient.sft, strength=strength, decay=decay, samples=samples)
    return replace(parent, objective=objective) if decay and strength else parent


NEUTRAL = dict(decay=0.0)


def check(made: Recipe) -> bool:
    """Sixteen gradients of 1, then sixteen of 2, after which the weight is 5: F = 0.9 * 1 + 4, anchor 5."""
    keep = keeper(first_objective(made))
    once = keep(passage([3.0], [[1.0]] * 16))
    twice = keep(passage([5.0], [[2.0]] * 16, once, stage=2))
    return np.allclose(once["fisher:w"], 1) and np.allclose([twice["fisher:w"], twice["anchor:w"]], [[4.9], [5.0]])
