"""Weights that earlier task sets depend on are held, each in proportion: less is forgotten without any old data.

Paper: arXiv 1612.00796 (EWC), equation 3
Parent: sft
Differs: strength / 2 * F (theta - theta*)^2 for each earlier stage is in the loss. F is the mean squared gradient of whole
    answers' log-probabilities, of the last `samples` that the stage learnt from: worked solutions, so the empirical Fisher
    information
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import consolidation, policy_gradient
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.held import held
from sharpen.recipes.supervised import sft


def recipe(strength: float = 100.0, samples: int = 128) -> Recipe:
    objective = partial(consolidation.ewc, policy_gradient.sft, strength=strength, samples=samples)
    return replace(sft.recipe(), objective=objective) if strength else sft.recipe()


NEUTRAL = dict(strength=0.0)


def check(made: Recipe) -> bool:
    """F = (2, 0): the first weight, 0.5 from its anchor, is pulled by strength * 2 * 0.5, the second not; before, nothing
    is.
    """
    pulled = held(first_objective(made), [1.5, 9.0], [0.1, 0.1], {"fisher": [2.0, 0.0], "anchor": [1.0, 0.0]})
    return np.allclose(pulled, [100.1, 0.1]) and np.allclose(held(first_objective(made), [1.5], [0.1], {}), [0.1])
