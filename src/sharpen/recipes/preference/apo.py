"""Momentum over rounds makes iterated preference learning 1 / (1 - alpha) times as fast.

Paper: arXiv 2410.06293 (APO); its extrapolation in parameters is from memory, see Differs
Parent: online_dpo
Differs: the reference is the last round that was kept; the weights that a round has learned go on by alpha times their
    difference to those that the round before had learned, and are then measured
Status: reproduced on a toy: python -m pytest tests/objectives/test_games.py -k momentum (200 rounds lead 1.43 and 1.99 times as
    far with alpha 0.3 and 0.5 as with 0)
"""

from dataclasses import replace

from sharpen.data import pairs
from sharpen.recipe import Recipe
from sharpen.recipes.preference import online_dpo


def recipe(alpha: float = 0.3, previous: bool = True) -> Recipe:
    return replace(online_dpo.recipe(previous=previous), extrapolation=alpha)


NEUTRAL = dict(alpha=0.0, previous=False)


def check(made: Recipe) -> bool:
    """If every round adds 1 to what it starts from, fifty rounds with alpha end near 50 / (1 - alpha)."""
    kept = learned = 0.0
    for _ in range(50):
        before, learned = learned, kept + 1
        kept = learned + made.extrapolation * (learned - before)
    speed = kept / 50 * (1 - made.extrapolation)
    return made.objective().reference == "accepted" and made.select is pairs.best_vs_worst and 0.98 < speed < 1.02 < kept / 50
