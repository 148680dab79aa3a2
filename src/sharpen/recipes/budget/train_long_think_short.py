"""A token budget that shrinks while a student learns makes it shorter, and more accurate, than the final budget from the start.

Paper: arXiv 2508.08940 (Train long, think short), section 3: 256 to 87 tokens in 3 drops, weights 0.6 and 0.3
Parent: grpo
Differs: the question states this moment's budget; the reward is a weighted sum of right, the triangle around the budget, and
    a form that can be read. From the paper: a quarter of its budgets, for our answers; a verdict that is not malformed stands
    for its tags
"""

from dataclasses import replace
from functools import partial
from math import isclose
from typing import Any

from sharpen.data import lengths
from sharpen.recipe import Recipe
from sharpen.recipes.played import settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import splicing


def recipe(start: float = 64, end: float = 22, drops: int = 3, correct: float = 0.6, length: float = 0.3) -> Recipe:
    parent = grpo.recipe()
    if not length:
        return parent
    budget: dict[str, Any] = dict(start=start, end=end, drops=drops)
    select = partial(lengths.within_budget, **budget, correct=correct, length=length)
    return replace(parent, rollout=partial(splicing.in_budget, **budget), select=select)


NEUTRAL = dict(length=0.0)


def check(made: Recipe) -> bool:
    """The paper's budgets, 256, 179, 125, 87; the triangle is 1 at the budget, 1/2 half way, 0 at twice the budget."""
    paper = [round(lengths.budget_at(p, 256, 87, 3)) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
    worth = [lengths.triangle(n, 100) for n in (100, 50, 150, 200, 300)]
    ends = settings(made.select)["start"] > settings(made.select)["end"]
    return paper == [256, 179, 125, 87, 87] and all(map(isclose, worth, [1, 0.5, 0.5, 0, 0])) and ends
