"""Imitation first and practice more and more, in every update, is better for data analysis than either alone.

Paper: arXiv 2509.25084 (DataMind), objective and schedule as released: mu from 0.9 to 0.05 along a cosine
Parent: grpo
Differs: each update is (1 - mu) DAPO and mu imitation of a worked solution, on questions about a table in SQLite. From the
    paper: mu falls over the budget, not over 350 steps; a verifier that fails makes a rollout unscorable, and costs no 0.1
"""

import math
from functools import partial

import numpy as np

from sharpen.core import Tableau
from sharpen.objectives import example, hybrid, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import dapo, grpo
from sharpen.recipes.within import within


def mixed(peak: float, valley: float, *, progress: float) -> Tableau:
    """DAPO beside the share of imitation as of now."""
    mu = valley + (peak - valley) * (1 + math.cos(math.pi * progress)) / 2
    return hybrid.imitating(policy_gradient.dapo(), own=1 - mu, shown=mu)


def recipe(peak: float = 0.9, valley: float = 0.05, act: bool = True) -> Recipe:
    if not act:
        return grpo.recipe()
    objective = partial(mixed, peak, valley)
    return within(dapo.recipe(), "table", "1-3", turns=4, max_tokens=120, select=hybrid.demonstrated, objective=objective)


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """Imitation counts 0.9 at first, 0.475 half way, 0.05 in the end."""
    shares = [example(made.objective(progress=p), [[1, 0, 1]], forced=[2])[2].sum() for p in (0.0, 0.5, 1.0)]
    return bool(np.allclose(np.array(shares) / shares[0], [1.0, 0.475 / 0.9, 0.05 / 0.9]))
