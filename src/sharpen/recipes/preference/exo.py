"""Minimising the reverse KL to the labels' distribution seeks its mode, where DPO's forward KL covers it.

Paper: arXiv 2402.00856 (EXO), equation 16
Parent: dpo
Differs: the divergence between the two sides' distributions is taken the other way round, against labels smoothed by 1/1000
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(beta: float = 0.1, smoothing: float = 1e-3, reverse: bool = True) -> Recipe:
    parent = dpo.recipe()
    return replace(parent, objective=partial(preferences.exo, beta=beta, smoothing=smoothing)) if reverse else parent


NEUTRAL = dict(reverse=False)


def check(made: Recipe) -> bool:
    """At margin 0: beta / 4 * log(999); none at the margin of the smoothed label, log(999) / beta."""
    at_start = example(made.objective(), [[1, 0]], lengths=[1, 1])[:, 0]
    there = example(made.objective(), [[1, 0]], lengths=[1, 0], ratio=999.0**10)
    return np.allclose(at_start, np.array([1, -1]) * 0.025 * np.log(999)) and np.allclose(there, 0)
