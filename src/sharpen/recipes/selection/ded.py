"""A few right answers that differ, to questions that are not yet mastered, teach as much as all of them.

Paper: arXiv 2508.09883 (DED), sections 3.2 and 3.3
Parent: rft
Differs: of each task at most two right answers, chosen to be far apart in words, and none of tasks that were always solved.
    From the paper: its rule of choice is not public, greedy max-min is ours; and its teacher is chosen by a trial distillation,
    for which `sharpen compare` with `--role teacher=` is the means here
"""

from dataclasses import replace
from functools import partial

from sharpen.data import curating
from sharpen.recipe import Recipe
from sharpen.recipes import teaching
from sharpen.recipes.supervised import rft


def recipe(most: int = 2, mastered: float = 1.0) -> Recipe:
    parent = rft.recipe()
    return replace(parent, select=partial(curating.diverse, most=most, mastered=mastered)) if most else parent


NEUTRAL = dict(most=0)


def check(made: Recipe) -> bool:
    """Of three equal right answers and one that differs, both kinds stay, once each; of a mastered task none."""
    right = [teaching.toy(0, i, 1.0, same=i < 3) for i in range(4)]
    kept = made.select([*right, teaching.toy(0, 9, 0.0), *(teaching.toy(1, i, 1.0) for i in range(4))])
    return sorted(s.rollout.response for s in kept) == sorted({s.rollout.response for s in right}) and len(kept) == 2
