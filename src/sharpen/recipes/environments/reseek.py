"""A search agent that is paid for judging what it found learns when to search again.

Paper: arXiv 2510.00568 (ReSeek), JUDGE action and rewards as released (a = 0.1, b = 0.05)
Parent: grpo
Differs: after a search the student may say whether it helped; whether it did is known, for the passages are generated. From
    the paper: useful is what holds the fact, instead of a reranker's 0.5; top-3 passages as there, a made-up world
"""

from collections.abc import Sequence
from functools import partial

from sharpen import data
from sharpen.core import Sample
from sharpen.environments import masked
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.within import within


def instructed(samples: Sequence[Sample], weight: float) -> list[Sample]:
    """`keep_all`, each answer paid for what it said of its searches."""
    kept = data.keep_all(samples)
    return [data.paid(s, weight * worth, "judge") if (worth := s.verdict.parts.get("judged", 0.0)) else s for s in kept]


def recipe(weight: float = 1.0, act: bool = True) -> Recipe:
    if not act:
        return grpo.recipe()
    return within(grpo.recipe(), "masked", "1-2", turns=8, select=partial(instructed, weight=weight))


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """Always no earns at most 0.02 a passage; yes and right 0.1; by chance on half useful passages, and wrong, below 0."""
    pay = masked.judged_searches
    chance = sum(pay([(said, useful)], False) for said in (True, False) for useful in (True, False)) / 4
    return round(pay([(False, False)] * 3, True), 9) == 0.06 and pay([(True, True)], True) == 0.1 and chance < 0
