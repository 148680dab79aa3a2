"""Weights of auxiliary rewards that are learnt by what they do to the true one keep a good hint and drop a misleading one.

Paper: arXiv 2310.19007 (BARFI), section 4; its formulas were not read, the gradient is exact for a softmax (Cov / tau)
Parent: grpo
Differs: the reward is the outcome plus weights times parts (form and length), moved each step by the covariance of part and
    outcome within groups. From the paper: no implicit differentiation through an optimizer, no learnt discount, weights of
    parts instead of a function of states
Status: reproduced on a toy: python bench/reward_toys.py blend (softmax over three arms: weights go to +1 for a hint and -1 for
    a part that misleads, and the right arm to 95.2 %; true reward alone 78.7, both parts with fixed weights 26.5)
"""

from dataclasses import replace
from functools import partial

from sharpen.data import blending
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.verify import hints


def recipe(rate: float = 0.5) -> Recipe:
    parent = grpo.recipe()
    if not rate:
        return parent
    return replace(parent, verify=hints, select=partial(blending.blended, parts=("format", "short"), rate=rate))


NEUTRAL = dict(rate=0.0)


def check(made: Recipe) -> bool:
    """A part that goes with being right gains weight, one that goes against it loses some, and neither outweighs the truth."""
    from sharpen.recipes.teaching import toy

    answers = [toy(0, i, float(i < 2)) for i in range(4)]
    parts = [{"format": 1.0, "short": 0.0}] * 2 + [{"format": 0.0, "short": 1.0}] * 2
    listed = [replace(s, verdict=replace(s.verdict, parts=p)) for s, p in zip(answers, parts)]
    notes: dict = {}
    for _ in range(50):
        paid = made.select(listed, notes=notes)
    return notes["phi"] == {"format": 1.0, "short": -1.0} and [s.verdict.reward for s in paid] == [2.0, 2.0, -1.0, -1.0]
