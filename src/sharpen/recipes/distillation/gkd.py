"""Halfway between the two divergences, and between own answers and shown ones, a student learns most from its teacher.

Paper: arXiv 2306.13649 (GKD), algorithm 1; beta 0.5, lambda 0.5
Parent: forward_kl
Differs: the generalised Jensen-Shannon divergence; half of the prompts bring their worked solution instead of own answers;
    from the paper: that half of each step, not of the steps by lot, and no temperature
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import pairs
from sharpen.objectives import distillation, example_penalty
from sharpen.recipe import Recipe
from sharpen.recipes.distillation import forward_kl


def recipe(beta: float = 0.5, own: float = 0.5) -> Recipe:
    parent = forward_kl.recipe()
    return replace(
        parent,
        select=partial(pairs.mixed, own=own) if own < 1 else parent.select,
        objective=partial(distillation.distil, beta=beta),
    )


NEUTRAL = dict(beta=0.0, own=1.0)


def check(made: Recipe) -> bool:
    """At beta 0.5 student and teacher may be exchanged, and no disagreement costs more than log 2."""
    a, b = [[9.0, -9.0, 0.0]], [[-9.0, 9.0, 0.0]]
    one, other = (example_penalty(made.objective(), x, y)[0] for x, y in ((a, b), (b, a)))
    return np.allclose(one, other) and 0.6 < float(one[0]) < np.log(2)
