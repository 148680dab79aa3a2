"""What is contained in something else need not be learnt twice: fewer answers, and no less of a student.

Paper: arXiv 2312.13427 (R2D2), sections 3 and 4
Parent: rft
Differs: right answers whose steps a longer right answer to the same task has too are left out. From the paper: tables of a data
    lake are answers here, and are narrowed down in the same three steps; of sets of tasks `sharpen data FILE --against FILE2`
    says which is contained in which, and which may go
"""

from dataclasses import replace
from functools import partial

from sharpen.data import curating
from sharpen.recipe import Recipe
from sharpen.recipes import teaching
from sharpen.recipes.supervised import rft


def recipe(least: float = 1.0) -> Recipe:
    parent = rft.recipe()
    return replace(parent, select=partial(curating.uncontained, least=least)) if least else parent


NEUTRAL = dict(least=0.0)


def check(made: Recipe) -> bool:
    """One line is a part of two; with one more line of its own it is not."""

    def said(text: str, number: int):
        sample = teaching.toy(0, number, 1.0)
        return replace(sample, rollout=replace(sample.rollout, turns=(text,)))

    whole, part, other = said("a b\nc d\ne f", 1), said("c d\na b", 2), said("c d\na b\ng h", 3)
    return made.select([part, whole, other]) == [whole, other] and made.select([part]) == [part]
