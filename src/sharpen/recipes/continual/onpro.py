"""Replaying old skills whose prototypes lie near the new one's forgets less than replay at random: there skills are confused.

Paper: arXiv 2308.00301 (OnPro), section 3.3, adaptive prototypical feedback
Parent: replay
Differs: a prototype is the mean direction of an arm's questions in the student's own states; arms are replayed by the softmax
    of their largest cosine with a present arm. From the paper: no contrastive loss of prototypes and no mix-up of images, and
    replay goes by nearness to the new ones, not among the old
"""

from dataclasses import replace
from functools import partial

from sharpen.data import rehearsal
from sharpen.recipe import Recipe
from sharpen.recipes.continual import replay
from sharpen.recipes.held import played


def recipe(heat: float = 0.1, share: float = 0.5, size: int = 512) -> Recipe:
    parent = replay.recipe(share=share, size=size)
    return replace(parent, select=partial(rehearsal.confused, share=share, size=size, heat=heat)) if heat and share else parent


NEUTRAL = dict(heat=0.0)


def check(made: Recipe) -> bool:
    """Of two old arms one lies where the new one does: all that is replayed is of it, where the softmax is sharp."""
    seen = played(made.select, steps=4, share=0.5, size=4, heat=1e-3)
    return all(i in (1, 3) for step in seen for i in step)
