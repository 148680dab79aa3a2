"""Paid for its last attempt alone, a model asked to check itself learns one good answer and repeats it.

Paper: arXiv 2409.12917 (SCoRe), section 3: the two-turn episode without stages or shaping, which collapses into copying there
Parent: grpo
Differs: two attempts, of which the second is judged; both are learnt from, with one reward. The control of score
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, verify
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(again: bool = True, by_turn: bool = False) -> Recipe:
    parent = grpo.recipe()
    if not again:
        return parent
    return replace(parent, rollout=rollouts.self_correct, verify=partial(verify.each_turn, credited=by_turn))


NEUTRAL = dict(again=False)


def check(made: Recipe) -> bool:
    """Copying a right first answer is worth as much as mending a wrong one, and nothing tells the two turns apart."""
    from sharpen.core import Task

    task = Task(({"role": "user", "content": "2 + 2"},), "4", "f", 1)
    copied, mended = (made.verify(task, "4", turns=(first, "4")) for first in ("4", "5"))
    return copied.reward == mended.reward == 1.0 and not copied.credit and mended.parts["turn 1"] == 0.0
