"""A convex set of posteriors, one for each kind of task set, serves any preference among them without learning anew.

Paper: arXiv 2305.14782 (IBCL), algorithm 1: the distance rule; algorithm 2: sampling by preference
Parent: sft
Differs: the prior of a stage is the preference-weighted mixture of the earlier stages' Gaussians, of each weight by itself,
    whose variance is 1 / (n F + prior). From the paper: Laplace instead of variational posteriors, one run with all of them
    as prior instead of one from each; no highest-density region. `sharpen merge OUT RUN --how posterior` draws a model for
    a preference
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sharpen.objectives import consolidation, policy_gradient
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.held import keeper, passage
from sharpen.recipes.supervised import sft


def recipe(strength: float = 0.01, preference: tuple[float, ...] = (), distance: float = 1e-4, samples: int = 128) -> Recipe:
    how: dict[str, Any] = dict(strength=strength, preference=preference, distance=distance, samples=samples)
    return (
        replace(sft.recipe(), objective=partial(consolidation.mixture, policy_gradient.sft, **how))
        if strength
        else sft.recipe()
    )


NEUTRAL = dict(strength=0.0)


def check(made: Recipe) -> bool:
    """A second posterior that is the first again is not added; one that lies elsewhere is. A preference for one draws that
    one.
    """
    keep = keeper(first_objective(made))
    once = keep(passage([3.0], [[1.0]] * 16))
    same, other = (keep(passage([w], [[1.0]] * 16, once, stage=2)) for w in (3.0, 5.0))
    drawn = consolidation.drawn(other, (0.0, 1.0), seed=0, spread=0.0)
    return same["stage:"].tolist() == [0, 0] and other["stage:"].tolist() == [0, 1] and np.allclose(drawn["w"], 5.0)
