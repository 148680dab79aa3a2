"""A head that is solved instead of trained, and balanced by pseudo-features, foretells success without forgetting, online.

Paper: arXiv 2405.17779 (AEF-OCL), section 3; ACIL, arXiv 2205.14922
Parent: uniform
Differs: the tasks of a step are those whose success a recursive ridge regression foretells to be nearest to `target`. From the
    paper: it foretells right or wrong of a task instead of the class of an image, from hashed words instead of a frozen network
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import ridge as ridges
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(candidates: int = 4, target: float = 0.5, ridge: float = 0.1) -> Recipe:
    parent = uniform.recipe()
    chosen = partial(curriculum.analytic, candidates=candidates, target=target, ridge=ridge)
    return replace(parent, curriculum=chosen) if candidates else parent


NEUTRAL = dict(candidates=0)


def check(made: Recipe) -> bool:
    """Row by row or all at once, in any order, the head is the same ridge regression, to nine digits."""
    rng = np.random.default_rng(0)
    rows, wanted = rng.normal(size=(12, 4)), rng.normal(size=(12, 1))
    state = ridges.solved(4, 1, 0.1)
    for i in rng.permutation(12):
        ridges.learn(state, rows[[i]], wanted[[i]])
    return np.allclose(state["head"], np.linalg.solve(rows.T @ rows + 0.1 * np.eye(4), rows.T @ wanted), atol=1e-9)
