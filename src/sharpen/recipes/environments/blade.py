"""Runs that differ cover more of what experts would accept than the same run again, at the price of fewer hits.

Paper: arXiv 2408.09667 (BLADE), metrics as released: hit rate, coverage over k runs, F1 by level
Parent: grpo
Differs: generated questions with several accepted analyses; variables, transform and model are matched exactly, and practised
    on. From the paper: it measures agents and trains none; its unweighted score adds a half where it should multiply by one
"""

from sharpen.environments import analysis
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.within import within


def recipe(turns: int = 8, act: bool = True) -> Recipe:
    return within(grpo.recipe(), "analysis", "1", turns=turns, max_tokens=96) if act else grpo.recipe()


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """k equal runs cover what one does, k runs of one hit each k of m; no match anywhere is 0 and divides by nothing."""
    gold = {"variables": frozenset("abcd")}
    runs = [{"variables": frozenset(name)} for name in "abc"]
    equal = analysis.coverage(runs[:1] * 5, gold, "variables")
    nothing = analysis.final([{"variables": frozenset()}, {"variables": frozenset("z")}], gold)
    return equal == 0.25 and analysis.coverage(runs, gold, "variables") == 0.75 and nothing == 0.0
