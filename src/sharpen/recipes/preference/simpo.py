"""The mean log-probability of an answer is reward enough: no reference model, and no reward for length.

Paper: arXiv 2405.14734 (SimPO), equation 6; beta 2 and gamma / beta 0.5 of its Llama-3-Base row
Parent: dpo
Differs: scores are means over tokens, without a reference, and the margin must exceed gamma; from the paper: the better
    answer's likelihood is part of the loss (`sft_weight` of the released code, 0 there), without which a small student
    forgets the right answers too
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(beta: float = 2.0, ratio: float = 0.5, nll: float = 1.0, mean: bool = True) -> Recipe:
    parent = dpo.recipe()
    return replace(parent, objective=partial(preferences.simpo, beta=beta, ratio=ratio, nll=nll)) if mean else parent


NEUTRAL = dict(mean=False)


def check(made: Recipe) -> bool:
    """Tokens of log-probability -1 on both sides make a margin of 0 at any length: beta sigma(gamma) each, and the NLL."""
    sides = [example(made.objective(), [[1, 0]], lengths=[1, n]).sum(axis=1) for n in (1, 5)]
    return np.allclose(sides, 2 / (1 + np.exp(-1)) * np.array([1, -1]) + [1, 0])
