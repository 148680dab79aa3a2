"""A temperature that balances enough right answers against too many wrong ones keeps self-training from stalling.

Paper: arXiv 2412.17256 (B-STaR), section 3
Parent: rft
Differs: the balance score of a grid of temperatures and reward thresholds is measured on a quarter of each step's questions,
    and the best is used for the rest. From the paper: every step instead of every iteration, four temperatures, two
    thresholds, four answers instead of eight, and no process reward
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.data import balance
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(balanced: bool = True, target: int = 4) -> Recipe:
    parent = rft.recipe()
    return replace(parent, rollout=rollouts.at_balance, select=partial(balance.balanced, target=target)) if balanced else parent


NEUTRAL = dict(balanced=False)


def check(made: Recipe) -> bool:
    """The score is 1 for enough right answers and nothing else, and with a perfect verifier it is the share of enough."""
    target = made.select.keywords["target"]  # type: ignore[attr-defined]
    whole = [balance.score(target + k, target + k, target) for k in range(3)]
    perfect = [balance.score(k, k, target) for k in range(1, target + 1)]
    mixed = balance.score(target, 2 * target, target)
    return whole == [1.0] * 3 and perfect == [k / target for k in range(1, target + 1)] and mixed == 0.5
