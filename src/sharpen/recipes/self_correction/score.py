"""A second attempt is worth making once only its own improvement is paid for.

Paper: arXiv 2409.12917 (SCoRe), section 4.2, stage II
Parent: grpo
Differs: two turns, each compared with the same turn of the group; the second is also paid alpha times what it is better than
    the first. From the paper: without stage I, which keeps the first turn where the base model has it, and without KL
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, verify
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(alpha: float = 10.0, again: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not again:
        return parent
    bonus = partial(verify.improvement, alpha=alpha)
    return replace(
        parent,
        rollout=rollouts.self_correct,
        verify=partial(verify.each_turn, shape=bonus),
        objective=policy_gradient.grpo_by_turn,
    )


NEUTRAL = dict(again=False)


def check(made: Recipe) -> bool:
    """Right after wrong is worth more in the second turn than right after right, and nothing of it reaches the first."""
    worth = getattr(made.verify, "keywords", {})["shape"]
    return worth([0.0, 1.0])[1] > worth([1.0, 1.0])[1] > worth([1.0, 0.0])[1] and worth([0.0, 1.0])[0] == 0.0
