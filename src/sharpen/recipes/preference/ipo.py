"""A squared loss on the margin does not run away where every label agrees, as DPO does.

Paper: arXiv 2310.12036 (IPO), equation 17
Parent: dpo
Differs: the margin is drawn to 1 / (2 beta) and no further; log-ratios are means over tokens, as in the authors' experiments
Status: reproduced on a toy: python -m pytest tests/objectives/test_preferences.py -k every_label (labels that all agree: the
    margin is 0.5 after 100 steps and 400; DPO's 4.4 and 5.8, as the logarithm of the steps)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(beta: float = 0.1, squared: bool = True) -> Recipe:
    return replace(dpo.recipe(), objective=partial(preferences.ipo if squared else preferences.dpo, beta=beta))


NEUTRAL = dict(squared=False)


def check(made: Recipe) -> bool:
    """At margin 0 the pull is 1 / beta = 10, shared by the tokens of a side; at a mean log-ratio of 1 / (2 beta) it is 0."""
    at_start = example(made.objective(), [[1, 0]], lengths=[1, 2])
    there = example(made.objective(), [[1, 0]], lengths=[3, 0], ratio=np.exp(5))
    return np.allclose(at_start.sum(axis=1), [10, -10]) and np.allclose(at_start[1], -5) and np.allclose(there, 0)
