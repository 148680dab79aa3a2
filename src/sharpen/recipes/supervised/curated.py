"""A share of worked solutions beside one's own curated answers keeps what curation alone would narrow down.

Paper: arXiv 2407.09499 (self-consuming models with curated data), theorems 2.1 and 2.2
Parent: rft
Differs: worked solutions of the step's own tasks are mixed in, a share of the batch. From the paper: curation is the
    verifier's, not a user's choice of one in K, and goes on from the present weights
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import consuming
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(real: float = 0.25) -> Recipe:
    return replace(rft.recipe(), select=partial(consuming.with_real, share=real))


NEUTRAL = dict(real=0.0)


def check(made: Recipe) -> bool:
    """Alone the loop ends in the mode with the highest reward; with this share of real data every mode stays, and pays more."""
    share = made.select.keywords["share"]  # type: ignore[attr-defined]
    reference, reward = np.array([0.5, 0.3, 0.2]), np.array([0.0, 0.5, 1.0])
    alone = mixed = reference
    for _ in range(200):
        alone = consuming.curated(alone, reward)
        mixed = consuming.retrained(mixed, reward, share, reference)
    kept = mixed.min() > 0.5 * share * reference.min() and mixed @ np.exp(reward) > reference @ np.exp(reward)
    return bool(alone[2] > 0.999 and kept)
