"""Paying each step for the progress that a better prover makes of it explores more than paying the outcome alone.

Paper: arXiv 2410.08146 (Rewarding progress), equations 2 and 5, section 5
Parent: grpo
Differs: a value model says the chance of success behind each step; a step is credited with the outcome plus alpha times the
    advantage of the policy with k tries. From the paper: chances are learnt from the outcomes of the student's own answers, one
    each, all along, instead of from 20 continuations of each prefix before; GRPO by steps; alpha is 3 of "up to 5"
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.core import Role
from sharpen.data import lessons, stepping
from sharpen.objectives import policy_gradient, rewards
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.verify import pieces


def recipe(alpha: float = 3.0, k: int = 4, progress: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not progress:
        return parent
    taught = partial(lessons.as_outcome, split=pieces.from_start)
    role = Role("value", gives="scores", bound="start", objective=rewards.classify, teach=taught, lr=1e-3)
    return replace(
        parent,
        verify=partial(verify.progressed, split=pieces.steps, alpha=alpha, k=k),
        select=partial(stepping.by_steps, split=pieces.steps),
        objective=policy_gradient.grpo_by_turn,
        roles=(role,),
    )


NEUTRAL = dict(progress=False)


def check(made: Recipe) -> bool:
    """A step that changes nothing has no credit beyond the outcome, however good things stand; one that helps has more."""
    from sharpen.verify import learnt

    credit = learnt.rehearse(made.verify, "wrong", scores=[-1.0, -1.0, 2.0], response="1 2").credit
    return credit[0] == 0.0 and credit[1] > 0.0
