"""Paid for its last attempt alone, a model asked to check itself learns one good answer and repeats it.

Paper: arXiv 2409.12917 (SCoRe), section 3: the two-turn episode without stages or shaping, which collapses into copying there
Parent: grpo
Differs: two attempts, of which the second is judged; both are learnt from, with one reward. The control of score, with the same
    tasks, warm-up, feedback and share of the budget for second attempts to be imitated
"""

from dataclasses import replace
from functools import partial

from sharpen import guard
from sharpen.guard import handover
from sharpen.recipe import Method, Stage
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.self_correction import score


def recipe(form: float = 0.0, feedback: str = "", again: bool = True) -> Method:
    if not again:
        return grpo.recipe()
    parent = score.practised(feedback)
    parent = replace(parent, verify=partial(parent.verify, credited=False))
    return staging.sequence(
        Stage("form", score.shown(parent), form, handover.last, guard.always),
        Stage("rl", parent, 1 - form, handover.last, guard.always, optimizer="inherited"),
    )


NEUTRAL = dict(again=False)


def check(made: Method) -> bool:
    """Copying a right first answer is worth as much as mending a wrong one, and nothing tells the two turns apart."""
    from sharpen.core import Task

    task = Task(({"role": "user", "content": "2 + 2"},), "4", "f", 1)
    judge = made.stages[-1].recipe.verify  # type: ignore[union-attr]
    copied, mended = (judge(task, "4", turns=(first, "4")) for first in ("4", "5"))
    return copied.reward == mended.reward == 1.0 and not copied.credit and mended.parts["turn 1"] == 0.0
