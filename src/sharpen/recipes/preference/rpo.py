"""Imitating the better answer as well keeps its likelihood from falling, which a loss on margins allows.

Paper: arXiv 2404.19733 (iterative RPO), equation 1; alpha 1
Parent: online_dpo
Differs: alpha times the better answer's NLL, mean over its tokens; the reference is the last round that was kept
Status: reproduced on a toy: python -m pytest tests/objectives/test_preferences.py -k which_losses (two answers that share a
    feature, 50 steps: the better one's log-likelihood rises by 0.50, by DPO it falls by 0.35)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import online_dpo


def recipe(beta: float = 0.1, alpha: float = 1.0, previous: bool = True) -> Recipe:
    against = "accepted" if previous else "start"
    return replace(online_dpo.recipe(), objective=partial(preferences.dpo, beta=beta, nll=alpha, reference=against))


NEUTRAL = dict(alpha=0.0, previous=False)


def check(made: Recipe) -> bool:
    """The better answer's tokens get alpha / length more than DPO gives them, the worse answer's nothing more."""
    c = example(made.objective(), [[1, 0]], lengths=[4, 4])
    return np.allclose(c[0], 0.05 + 1 / 4) and np.allclose(c[1], -0.05)
