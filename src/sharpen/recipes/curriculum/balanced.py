"""Training only on groups solved neither too often nor too seldom makes every rollout of the batch count.

Paper: arXiv 2504.03380 (Online difficulty filtering), section 3
Parent: grpo
Differs: a step asks for new prompts at most `refills` times (the paper samples on until the batch is full); thresholds are an
    example of the paper's symmetric ones
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py -k symmetric_band (on the bandit, skill gained
    for each group that was kept: 0.093 with a quarter to three quarters right, 0.021 and 0.013 with one-sided bands, 0.016 with
    none, five seeds; what was asked for in vain is not counted)
"""

from dataclasses import replace
from functools import partial

from sharpen import data
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(low: float = 0.2, high: float = 0.8, refills: int = 3, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    gate = partial(data.gate, low=low, high=high) if low > 0 or high < 1 or refills else parent.select
    return replace(parent, select=gate, refills=refills)


NEUTRAL = dict(low=0.0, high=1.0, refills=0)


def check(made: Recipe) -> bool:
    """Of groups with 0 to 8 of 8 right, those with 2 to 6 stay."""
    task = testbed.Bandit().source.draw(testbed.Bandit().arms[0], "train", 0, 0)
    groups = [testbed.judged(task, right, i < right) for right in range(9) for i in range(8)]
    return sorted({s.group for s in made.select(groups)}) == [2, 3, 4, 5, 6]
