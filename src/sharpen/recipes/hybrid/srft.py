"""Imitation and practice in one step beat one after the other: the solution is compared like an own answer, and imitated.

Paper: arXiv 2506.19767 (SRFT), as the row of the table in arXiv 2509.04419
Parent: luffy
Differs: the solution's ratio is its probability, unshaped, and its likelihood is raised at a fixed weight. From the paper: that
    weight does not follow the entropy
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, hybrid
from sharpen.recipe import Recipe
from sharpen.recipes.hybrid import luffy


def recipe(weight: float = 0.5, shape: float = 0.0, **knobs) -> Recipe:
    parent = luffy.recipe(**knobs)
    inner = partial(hybrid.srft, weight=weight) if not shape else partial(hybrid.luffy, shape=shape)
    return replace(parent, objective=inner)


NEUTRAL = dict(shape=0.1)


def check(made: Recipe) -> bool:
    """By hand, p = 1/2 and a group (0, 0, solution): advantage sqrt 2, times 1/2, plus 1/2; over 3 rows of 2 tokens."""
    c = example(made.objective(), [[0, 0, 1]], ratio=np.e / 2, forced=[2])[2, 0]
    return bool(np.isclose(c, (np.sqrt(2) / 2 + 0.5) / 6, atol=1e-5))
