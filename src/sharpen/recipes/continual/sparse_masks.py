"""A sparse part of the weights for each task set, which later ones leave alone, keeps what it holds bit for bit.

Paper: arXiv 2308.14831 (continual learning with dynamic sparse training), abstract and repository; ERK, arXiv 1911.11134
Parent: sft
Differs: a stage learns at a random mask of `density` of all weights, spread by ERK or uniformly, and owns the share `keep` that
    changed most. From the paper: answers are given with all weights, for nobody says which task set a question is of, so that
    what is owned stays and what it adds up to may not; a mask is chosen as its stage begins and does not grow within
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import gradients, policy_gradient
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.held import held, keeper, passage
from sharpen.recipes.supervised import sft


def recipe(density: float = 0.15, layers: str = "erk", keep: float = 1.0) -> Recipe:
    objective = partial(gradients.masked, policy_gradient.sft, density=density, layers=layers, keep=keep)
    return replace(sft.recipe(), objective=objective) if density else sft.recipe()


NEUTRAL = dict(density=0.0)


def check(made: Recipe) -> bool:
    """Masks of two stages share no weight, have as many as asked for, and nothing but a mask learns."""
    keep, weight = keeper(first_objective(made)), np.zeros((20, 10))
    first = keep(passage(weight, [], stage=0))
    second = keep(passage(weight, [], first, stage=1))
    gradient = held(first_objective(made), weight, weight + 1, {"mask": second["mask:w"]})
    counts = [int(found["mask:w"].sum()) for found in (first, second)]
    return counts == [30, 30] and not (first["mask:w"] & second["mask:w"]).any() and gradient.sum() == 30
