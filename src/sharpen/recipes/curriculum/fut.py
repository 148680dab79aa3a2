"""What another order would have come to can be told from one run, and the best order of many need not be searched by training.

Paper: arXiv 2505.22042 (Estimating the Effects of Sample Training Orders, FUT), equations 1 to 5, and its use for curricula
Parent: grpo
Differs: the state that updates are expanded in is the logit of each arm's success, not the weights, and what a block of an arm
    does to it is estimated from the rounds of an earlier run, `--set curriculum.earlier=RUN`, read as data; without one it is
    the graph of levels. From the paper: no Adam, no random projections; blocks are arms, with `review` for all of them
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import effects
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(earlier: str = "", blocks: int = 24, candidates: int = 64, review: float = 0.2, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    told = partial(curriculum.estimated, earlier=earlier, blocks=blocks, candidates=candidates, review=review)
    return replace(parent, curriculum=told) if review < 1 else parent


NEUTRAL = dict(review=1.0)


def check(made: Recipe) -> bool:
    """Gradient steps on two quadratic losses: where another order ends is told exactly from one that was tried."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(2, 3, 3))
    curve, rate = root @ root.transpose(0, 2, 1), 0.05

    def step(state: np.ndarray, block: int) -> np.ndarray:
        return -rate * (curve[block] @ state - block)

    tried = [np.ones(3)]
    for block in (0, 1, 0, 1):
        tried.append(tried[-1] + step(tried[-1], block))
    reference = np.array(tried[:-1])
    updates = np.array([[step(state, b) for b in (0, 1)] for state in reference])
    jacobians = np.broadcast_to(-rate * curve, (4, 2, 3, 3))
    other = np.ones(3)
    for block in (1, 1, 0, 0):
        other = other + step(other, block)
    return np.allclose(effects.follow(reference, updates, jacobians, (1, 1, 0, 0)), other) and bool(made.curriculum)
