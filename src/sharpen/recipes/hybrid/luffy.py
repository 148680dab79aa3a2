"""A worked solution among one's own answers is compared like them, and its rare tokens, which are what is new, count most.

Paper: arXiv 2504.14945 (LUFFY), sections 3.2 and 3.3
Parent: grpo
Differs: every group has its worked solution as one more member, whose ratio is the derivative of p / (p + shape), unclipped
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, hybrid
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(shown: bool = True, shape: float = 0.1, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    return replace(parent, select=hybrid.demonstrated, objective=partial(hybrid.luffy, shape=shape)) if shown else parent


NEUTRAL = dict(shown=False)


def check(made: Recipe) -> bool:
    """A token of the solution with p = 0.1 weighs more than one with p = 0.9; own answers are GRPO's."""
    rare, usual = (example(made.objective(), [[0, 0, 1]], ratio=np.e * p, forced=[2])[2, 0] for p in (0.1, 0.9))
    own = np.allclose(example(made.objective(), [[1, 0]]), example(grpo.recipe().objective(), [[1, 0]]))
    return own and rare > 2 * usual > 0
