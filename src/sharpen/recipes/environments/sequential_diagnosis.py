"""Tests that cost are ordered only as far as they pay, once each costs its price in reward.

Paper: arXiv 2506.22405 (Sequential Diagnosis), gatekeeper environment with costs
Parent: grpo
Differs: causes and tests of a generated case; the reward is right, less 0.3 of the share of all prices that was spent. From the
    paper: the gatekeeper is a table, the orchestrator one student instead of a panel of five roles; prices are made up
"""

from sharpen.environments import diagnosis
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.within import within


def recipe(levels: str = "1-2", turns: int = 8, act: bool = True) -> Recipe:
    return within(grpo.recipe(), "diagnosis", levels, turns=turns) if act else grpo.recipe()


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """Where tests cost more than they tell, the best is to name the likeliest at once; where they are free, it is better."""
    cases = [diagnosis.Case(seed, 1) for seed in range(4)]
    dear = all(abs(diagnosis.best(case, price=50.0) - case.prior.max()) < 1e-9 for case in cases)
    return dear and all(case.prior.max() < diagnosis.best(case) < diagnosis.best(case, price=0.0) for case in cases)
