"""Told no more than "Try again", a model that is paid less for later answers learns to use every turn, and keeps its first.

Paper: arXiv 2507.14295 (UFO), section 3; five attempts, its best
Parent: ppo
Differs: an episode ends at its first right answer, and is worth gamma^(turns - 1), less a share for answers given twice and for
    what cannot be read; GAE with gamma = lambda = 1. From the paper: its weights of the two are not stated and are ours
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, verify
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import ppo


def recipe(attempts: int = 5, gamma: float = 0.5, variety: float = 0.1, again: bool = True) -> Recipe:
    parent = ppo.recipe()
    if not again:
        return parent
    worth = partial(verify.tried_again, gamma=gamma, variety=variety)
    asked = partial(rollouts.retry, attempts=attempts, until_right=True)
    return replace(parent, rollout=asked, verify=worth, objective=partial(policy_gradient.ppo, gamma=1.0, lam=1.0))


NEUTRAL = dict(again=False)


def check(made: Recipe) -> bool:
    """Right at once is worth 1, right in the third turn a quarter, and an answer given twice costs."""
    from sharpen.core import Task

    task = Task(({"role": "user", "content": "guess"},), "4", "f", 1)
    worth = [made.verify(task, said[-1], turns=said).reward for said in (("4",), ("5", "6", "4"), ("5", "5", "4"))]
    return worth[0] == 1.0 and worth[1] == 0.25 and worth[2] < worth[1]
