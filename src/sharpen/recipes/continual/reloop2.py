"""A memory of recent errors puts a slow estimate right at once where skills have shifted, without a gradient step.

Paper: arXiv 2306.08808 (ReLoop2), section 3; temperature 0.1, gamma 1
Parent: uniform
Differs: the tasks of a step are those whose success, so foretold, is nearest to `target`. From the paper: the slow model is
    the arm's success rate over all tries, a case is a prompt, and the memory is a list, not a sketch of hashes
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import ridge as ridges
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(candidates: int = 4, weight: float = 0.5, gamma: float = 1.0) -> Recipe:
    parent = uniform.recipe()
    chosen = partial(curriculum.error_memory, candidates=candidates, weight=weight, gamma=gamma)
    return replace(parent, curriculum=chosen) if candidates else parent


NEUTRAL = dict(candidates=0)


def check(made: Recipe) -> bool:
    """With gamma 1 it is the mean of the slow estimate and its nearest neighbours; with weight 0 the slow estimate."""
    keys, none = np.eye(2), np.zeros(2)
    said = [ridges.compensated(keys, np.array([1.0, 0.0]), none, keys[0], 0.2, w, top=1) for w in (0.5, 0.0)]
    return np.allclose(said, [0.6, 0.2])
