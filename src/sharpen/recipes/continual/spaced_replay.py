"""Old answers recalled after pauses that double are remembered as well as with replay at random, for fewer recalls.

Paper: arXiv 2503.18371 (View-Batch), section 3, for the recall interval; the rule of doubling is ours
Parent: replay
Differs: of the memory those are replayed that are most overdue, and one that was recalled waits `grow` times as long as
    before. At grow 1 all take turns
"""

from dataclasses import replace
from functools import partial

from sharpen.data import rehearsal
from sharpen.recipe import Recipe
from sharpen.recipes.continual import replay
from sharpen.recipes.held import played


def recipe(grow: float = 2.0, share: float = 0.5, size: int = 512) -> Recipe:
    parent = replay.recipe(share=share, size=size)
    select = partial(rehearsal.spaced, share=share, size=size, grow=grow)
    return replace(parent, select=select) if grow and share else parent


NEUTRAL = dict(grow=0.0)


def check(made: Recipe) -> bool:
    """Of four, two a step: first two, then the other two, and these again only after twice the pause."""
    seen = played(made.select, steps=6, share=0.5, size=4, grow=2.0)
    return {*seen[0], *seen[1]} == {0, 1, 2, 3} and len(seen) == 6
