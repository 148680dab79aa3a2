"""A cold start by preferences that differ in form alone teaches the form and leaves the skill; imitation costs some.

Paper: arXiv 2510.25801 (Metis-SPECS), abstract; lambda 1, and the generalisation factor with beta 2, are second hand
Parent: grpo
Differs: a short practice; then pairs of the student's own right answers, over the same answer in a broken form, by DPO plus the
    likelihood of the better one; then practice, with half a point for form. From the paper: three ways to break the form, by
    rule; pairs are of this step's answers
"""

from dataclasses import replace
from functools import partial
from typing import Any

from sharpen import guard, verify
from sharpen.data import pairs
from sharpen.guard import handover
from sharpen.objectives import preferences
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import answers
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.preference import dpo


def recipe(short: float = 0.2, prefer: float = 0.2, form: float = 0.5, weight: float = 1.0) -> Stages:
    same: dict[str, Any] = dict(verify=verify.hints)
    preferred = replace(dpo.recipe(), select=pairs.in_form, objective=partial(preferences.dpo, beta=0.1, nll=weight), **same)
    practised = replace(grpo.recipe(), select=partial(pairs.paid_for_form, form=form), **same) if form else grpo.recipe()
    return staging.sequence(
        Stage("short", replace(grpo.recipe(), **same), short, handover.last, guard.always),
        Stage("prefer", preferred, prefer, handover.last, guard.always),
        Stage("rl", practised, 1 - short - prefer, handover.last, guard.always),
    )


NEUTRAL = dict(short=0.0, prefer=0.0, form=0.0)


def check(made: Stages) -> bool:
    """Of right answers only, each over itself in a broken form; and a cold start counts more for what it gains elsewhere."""
    told: list[str] = []
    said = answers(("4<answer>4</answer>", 1), ("<answer>5</answer>", 0))
    sides = made.stages[1].recipe.select(said, retell=partial(noted, told))
    factors = [round(pairs.generalisation(*gains), 3) for gains in ((0.8, 0.4), (0.4, 0.8))]
    broken = len(told) == 1 and told[0] != said[0].rollout.response and "4" in told[0]
    return len(sides) == 2 and broken and factors == [0.444, 0.667]


def noted(told, sample, messages, answer=None):
    """A sample told again, and what it now says."""
    told.append(answer)
    return replace(sample, rollout=replace(sample.rollout, id=f"{sample.rollout.id}.told", turns=(answer,)))
