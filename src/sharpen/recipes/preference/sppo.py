"""Drawing each answer's log-ratio to a target of its own raises the right answer, where a margin may only sink the wrong one.

Paper: arXiv 2405.00675 (SPPO), equation 4.7 with its win probabilities taken as 1 and 0; beta = 1 / eta = 1/1000
Parent: dpo
Differs: a squared loss on each side alone, and the reference is the last round that was kept; from the paper: win
    probabilities are verdicts, not a preference model's
Status: reproduced on a toy: python -m pytest tests/objectives/test_preferences.py -k which_losses (two answers that share a
    feature, 50 steps: the better one's log-likelihood rises by 0.16, by DPO it falls by 0.35)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(beta: float = 1e-3, alone: bool = True) -> Recipe:
    parent = dpo.recipe()
    return replace(parent, objective=partial(preferences.sppo, beta=beta)) if alone else parent


NEUTRAL = dict(alone=False)


def check(made: Recipe) -> bool:
    """At the reference both sides are pulled by 1 / beta; a right answer that has gained 1 is pulled less, a wrong one more."""
    start, moved = (example(made.objective(), [[1, 0]], lengths=[1, 1], ratio=r)[:, 0] for r in (1.0, np.e))
    return np.allclose(start, [1000, -1000]) and np.allclose(moved, [998, -1002])
