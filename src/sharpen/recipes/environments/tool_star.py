"""A bonus for answers that needed two tools and used both teaches to combine them, if an empty call earns none of it.

Paper: arXiv 2505.16410 (Tool-Star), hierarchical reward as released
Parent: grpo
Differs: a search and a calculator for questions that need both, one, or neither; a right answer earns 0.1 more where both
    brought what was needed. From the paper: there any call counts, and any F1 above 0 is paid; two tools instead of three, no
    hints, no pairs of its own samples
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sharpen import data
from sharpen.core import Sample
from sharpen.recipe import Recipe
from sharpen.recipes import teaching
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.within import within


def combined(samples: Sequence[Sample], bonus: float) -> list[Sample]:
    """`keep_all`, right answers for which both tools brought something paid `bonus` more."""

    def earned(sample: Sample) -> bool:
        parts = sample.verdict.parts
        return sample.verdict.correct and bool(parts.get("searched")) and bool(parts.get("computed"))

    return [data.paid(s, bonus, "combined") if earned(s) else s for s in data.keep_all(samples)]


def recipe(bonus: float = 0.1, act: bool = True) -> Recipe:
    if not act:
        return grpo.recipe()
    return within(grpo.recipe(), "lookup", "1-3", turns=5, select=partial(combined, bonus=bonus))


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """Right with both tools is 1.1; right with a dummy call is 1, so that calling for the sake of it pays nothing."""
    both, dummy = {"searched": 1.0, "computed": 1.0}, {"searched": 1.0, "computed": 0.0, "calls": 2.0}
    told = [(1.0, both), (1.0, dummy), (0.0, both)]
    toys = [teaching.toy(0, i, reward) for i, (reward, _) in enumerate(told)]
    given = [replace(s, verdict=replace(s.verdict, parts=parts)) for s, (_, parts) in zip(toys, told, strict=True)]
    return [round(s.verdict.reward or 0.0, 6) for s in made.select(given)] == [1.1, 1.0, 0.0]
