"""Replaying what is being forgotten, the old answers that became least likely, forgets less than replay at random.

Paper: arXiv 1908.04742 (MIR), section 3, for replay of what interferes most; here by the loss itself
Parent: replay
Differs: of four times as many candidates the least likely are replayed. From the paper: likelihood before the step, not how
    much the step would change it
"""

from dataclasses import replace
from functools import partial

from sharpen.data import rehearsal
from sharpen.recipe import Recipe
from sharpen.recipes.continual import replay
from sharpen.recipes.held import played


def recipe(candidates: int = 4, share: float = 0.5, size: int = 512) -> Recipe:
    parent = replay.recipe(share=share, size=size)
    select = partial(rehearsal.hardest, share=share, size=size, candidates=candidates)
    return replace(parent, select=select) if candidates > 1 and share else parent


NEUTRAL = dict(candidates=1)


def check(made: Recipe) -> bool:
    """The likelihoods of four old answers are -0, -1, -2, -3: the two least likely are taken."""
    return all({*step} == {2, 3} for step in played(made.select, steps=3, share=0.5, size=4))
