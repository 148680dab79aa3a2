"""The best of k answers by the policy's own judgement of their steps is right more often than what most of them say.

Paper: arXiv 2505.11227 (Is PRM necessary?), section 5
Parent: grpo
Differs: each rollout is the best of k answers as the present weights judge them, in training and in evaluations. From the
    paper: k is 4, not 32, and what is learnt from is the answer that was chosen
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.core import Role
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.verify import pieces


def recipe(k: int = 4) -> Recipe:
    parent = grpo.recipe()
    if k == 1:
        return parent
    chosen = partial(rollouts.best_by_own, split=pieces.steps, k=k)
    return replace(parent, rollout=chosen, roles=(Role("judge", bound="student"),))


NEUTRAL = dict(k=1)


def check(made: Recipe) -> bool:
    """A readable "right" goes before "wrong", and that before what cannot be read."""
    from sharpen.rollouts import own_judge

    said = ["Step 1: right\nVerdict: right", "Step 1: right\nVerdict: wrong", "Step 1: wrong\nVerdict: wrong", "Lovely!"]
    worth = [own_judge.rating(text, 1) for text in said]
    return worth == sorted(worth, reverse=True) and len(set(worth)) == 4 and getattr(made.rollout, "keywords", {})["k"] > 1
