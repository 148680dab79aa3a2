"""Responses compared within their group are enough to learn from: no value model is needed.

Paper: arXiv 2402.03300 (DeepSeekMath), section 4.1.2, outcome supervision
Parent: quickstart
Differs: no curriculum, every arm is drawn equally often; no ratchet, every round is kept (`loop=True` has both);
    from the paper: no KL penalty, and standard deviations of the population
"""

from dataclasses import replace

import numpy as np

from sharpen import guard, objective, teach
from sharpen.core import Recipe
from sharpen.recipes.loop import quickstart


def recipe(loop: bool = False) -> Recipe:
    parent = quickstart.recipe()
    return parent if loop else replace(parent, teach=teach.uniform, guard=guard.always)


NEUTRAL = dict(loop=True)


def check(made: Recipe) -> bool:
    """A silent group carries no gradient; two responses, one right, are a contrastive pair with advantages ±1."""
    c = objective.example(made.objective(), [[1, 0], [1, 1]]).sum(axis=1)
    return np.allclose(c, [1 / 4, -1 / 4, 0, 0], atol=1e-6)
