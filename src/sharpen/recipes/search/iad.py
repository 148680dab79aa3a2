"""Proposals that see the best one so far and its score beat as many that are drawn without looking, if scores can be trusted.

Paper: arXiv 2504.01931 (iterative agent decoding), abstract; that the worst is shown too is from a note
Parent: grpo
Differs: n proposals, each in sight of the best and the worst so far with what they are worth by their likelihood; the best is
    the answer, and is learnt from. From the paper: a verifier scores there; `rollout.value` takes any of rollouts/values.py
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.played import played, settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import refining, values


def recipe(n: int = 8, worst: bool = True) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, rollout=partial(refining.iterated, n=n, worst=worst)) if n > 1 else parent


NEUTRAL = dict(n=1)


def check(made: Recipe) -> bool:
    """With a verifier the best is kept, whatever comes after it, and every proposal costs one call."""
    found = played(partial(made.rollout, value=values.by_verifier), "5", "<answer>4</answer>", "6")
    return found.response == "<answer>4</answer>" and found.spent.calls == settings(made.rollout)["n"]
