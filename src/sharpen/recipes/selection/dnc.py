"""Some of every cluster of questions, and more of the clusters that are still wrong, teach more than as many at random.

Paper: arXiv 2409.11378 (Diversify and Conquer), section 3, Algorithm 1
Parent: grpo
Differs: clusters are of the student's own hidden states, found once; an item's score is 1 - its success rate, for the right
    answer is worth 1; reweighted every step instead of in three rounds. A cluster in which nothing is ever solved is not
    preferred: its labels may be wrong
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.data import quotas
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(clusters: int = 16, strength: float = 1.0) -> Recipe:
    parent = grpo.recipe()
    if not clusters:
        return parent
    return replace(parent, curriculum=partial(curriculum.clustered, clusters=clusters, strength=strength))


NEUTRAL = dict(clusters=0)


def check(made: Recipe) -> bool:
    """Of a mastered, a half-mastered and a hopeless cluster the second gets more than a third; quotas add up."""
    labels, rate = np.repeat([0, 1, 2], 10), np.repeat([1.0, 0.5, 0.0], 10)
    weights = quotas.reweighted(labels, rate, 3, getattr(made.curriculum, "keywords", {})["strength"])
    same = quotas.reweighted(labels, np.full(30, 0.5), 3)
    counts = quotas.quotas(weights, 100)
    return weights[1] > 1 / 3 > weights[0] == weights[2] and np.allclose(same, 1 / 3) and counts.sum() == 100
