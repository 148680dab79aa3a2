"""How many clusters of questions there are can be found: as many as come out the same again and again.

Paper: arXiv 2003.04372 (Probabilistic partitive partitioning), abstract
Parent: dnc
Differs: the number of clusters is found, not named: the largest on which repeated k-means agree and that a Gaussian for each
    cluster confirms. From the paper: it partitions again and again, and its rule of acceptance is not public; here each number
    up to `most` is tried
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.data import quotas
from sharpen.recipe import Recipe
from sharpen.recipes.selection import dnc


def recipe(most: int = 32) -> Recipe:
    parent = dnc.recipe()
    return replace(parent, curriculum=partial(curriculum.clustered, clusters=0, most=most)) if most else parent


NEUTRAL = dict(most=0)


def check(made: Recipe) -> bool:
    """Five blobs well apart are five clusters from every start; one blob is one."""
    rng = np.random.default_rng(0)
    blobs = np.repeat(np.eye(5) * 4, 12, axis=0) + rng.normal(size=(60, 5)) * 0.1
    found = [quotas.separated(blobs, 8, np.random.default_rng(seed)) for seed in (1, 2)]
    whole = quotas.separated(rng.normal(size=(40, 5)), 6, np.random.default_rng(1))
    same = all((labels == np.repeat(labels[::12], 12)).all() and len(set(labels.tolist())) == 5 for labels in found)
    return same and len(set(whole.tolist())) <= 2 and getattr(made.curriculum, "keywords", {})["clusters"] == 0
