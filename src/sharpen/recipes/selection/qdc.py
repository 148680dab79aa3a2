"""Answers chosen by quality, diversity and complexity together keep a self-taught student from saying less and less.

Paper: arXiv 2412.02980 (QDC survey), sections 4 to 6
Parent: rft
Differs: the better half of the right answers by three marks, where the parent keeps all that differ. From the paper, which is a
    survey: what stands for each of the three is our choice. `sharpen data` reports them of any set
"""

from dataclasses import replace
from functools import partial

from sharpen.data import curating
from sharpen.recipe import Recipe
from sharpen.recipes import teaching
from sharpen.recipes.supervised import rft


def recipe(share: float = 0.5, quality: float = 1.0, diversity: float = 1.0, complexity: float = 1.0) -> Recipe:
    parent = rft.recipe()
    select = partial(curating.balanced, share=share, quality=quality, diversity=diversity, complexity=complexity)
    return replace(parent, select=select) if share else parent


NEUTRAL = dict(share=0.0)


def check(made: Recipe) -> bool:
    """Of two equal answers and one that differs two thirds are one of each; without diversity a copy will do."""
    given = [teaching.toy(0, 0, 1.0, same=True), teaching.toy(1, 1, 1.0, same=True), teaching.toy(2, 7, 1.0)]
    with_it, without = (
        {s.rollout.response for s in curating.balanced(given, 2 / 3, 1.0, diversity, 0.0)} for diversity in (1.0, 0.0)
    )
    return len(with_it) == 2 and len(without) == 1 and getattr(made.select, "keywords", {})["diversity"] > 0
