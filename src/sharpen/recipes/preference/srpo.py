"""A model that learns what improves an answer, and to give answers that leave nothing to improve, holds when tasks change.

Paper: arXiv 2406.01660 (SRPO); the loss from the saddle point of its objective, for its own offline form could not be looked up
Parent: ipo
Differs: the student is also asked to improve on an answer, and both skills are fitted together; scores are sums over tokens;
    from the paper: the student's own answers, `alpha` 1/2, one way of asking, and no revisions when it is measured
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import pairs
from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import ipo


def recipe(beta: float = 0.1, alpha: float = 0.5, improves: bool = True) -> Recipe:
    parent = ipo.recipe(beta)
    objective = partial(preferences.srpo, beta=beta, alpha=alpha)
    return replace(parent, select=pairs.improvements, objective=objective) if improves else parent


NEUTRAL = dict(improves=False)


def check(made: Recipe) -> bool:
    """At margin 0: a quarter of IPO's pull of 1 / beta for each of the two pairs, half of twice that where they meet."""
    c = example(made.objective(), [[1, 0], [1, 0], [1, 1, 0, 0]])[:, 0]
    return np.allclose(c, 10 * np.array([0.25, -0.25, 0.25, -0.25, 1, 1, -1, -1]))
