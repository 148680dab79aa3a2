"""Imitating the right answer while its odds rise over the wrong one's does the work of SFT and alignment at once.

Paper: arXiv 2403.07691 (ORPO), equations 6 and 7; lambda 0.1 (its Mistral runs)
Parent: dpo
Differs: no reference; the margin is a log odds ratio of mean token probabilities; the right answer's likelihood is part of
    the loss
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(beta: float = 0.1, odds: bool = True) -> Recipe:
    parent = dpo.recipe()
    return replace(parent, objective=partial(preferences.orpo, beta=beta)) if odds else parent


NEUTRAL = dict(odds=False)


def check(made: Recipe) -> bool:
    """Two answers of the same mean log-probability -1: beta / 2 / (1 - 1/e) against each other, and 1 for the right one."""
    sides = example(made.objective(), [[1, 0]], lengths=[2, 3]).sum(axis=1)
    odds = 0.05 / (1 - np.exp(-1))
    return np.allclose(sides, [1 + odds, -odds])
