"""Exploration paid by difficulty, with a price that follows whether there is too much or too little of it, finds its level.

Paper: arXiv 2510.08457 (ARES), section 4, and its code: hierarchical entropy reward with strengths by bucket, and a threshold
    fixed once
Parent: window_entropy
Differs: the strength of each bucket of difficulty rises where its answers stray from what it should explore and falls where
    not, by `rate`, between 0 and 2; the entropy above which a token is open is that of the first step, for good. From the
    paper: the threshold is the first step's quantile, not a validation pass's; no KL by token
"""

from dataclasses import replace
from functools import partial

from sharpen.objectives import entropy
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import window_entropy


def recipe(rate: float = 0.05, strength: float = 0.5, window: int = 4, quantile: float = 0.8) -> Recipe:
    parent = window_entropy.recipe(window=window, quantile=quantile)
    shaped = partial(entropy.hierarchical_reward, window=window, quantile=quantile, strength=strength, rate=rate)
    return replace(parent, select=shaped) if rate else parent


NEUTRAL = dict(rate=0.0)


def check(made: Recipe) -> bool:
    """A strength that is strayed from by one margin rises by the rate, one that is kept falls by it, and neither leaves 0 to
    2."""
    rises = entropy.adapted([0.5, 0.5, 1.99], [2.0, 0.0, 9.0], 0.05)
    return (
        all(abs(a - b) < 1e-9 for a, b in zip(rises, [0.55, 0.45, 2.0], strict=True))
        and getattr(made.select, "func", None) is entropy.hierarchical_reward
    )
