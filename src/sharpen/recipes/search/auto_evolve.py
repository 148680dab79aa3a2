"""A plan that the student makes for a kind of question, and improves, leads to better answers than a fixed way of thinking.

Paper: arXiv 2410.06328 (Auto-Evolve), abstract and a note
Parent: grpo
Differs: ways of thinking, a plan of them, `refinements` of it, then the answer. From the paper: the plan is text, not JSON, and
    made for each question, in words that do not hold it, where the paper makes it once for a kind
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.played import played, settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import refining


def recipe(refinements: int = 1, plan: bool = True) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, rollout=partial(refining.structured, refinements=refinements)) if plan else parent


NEUTRAL = dict(plan=False)


def check(made: Recipe) -> bool:
    """2 + refinements calls for the plan and one for the answer, which sees the plan and the question."""
    found = played(made.rollout, "modules", "first plan", "better plan", "<answer>4</answer>")
    asked = bytes(found.tokens.astype("uint8")).decode()
    right = found.spent.calls == 3 + settings(made.rollout)["refinements"]
    return right and "better plan" in asked and "2 + 2" in asked and "modules" not in asked.replace("first", "")
