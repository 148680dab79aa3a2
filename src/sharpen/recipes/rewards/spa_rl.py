"""What each step of an episode added to its outcome can be learnt from outcomes alone, and is better credit than the outcome.

Paper: arXiv 2505.20732 (SPA-RL), sections 3.2 and 3.3
Parent: grpo
Differs: a progress estimator, whose scores of the steps add up to the outcome, says what each step is credited with, plus
    `grounding` where it could be carried out; steps of a group are compared by their number. From the paper: GRPO by steps
    instead of PPO, the estimator learns beside the student, and a step is a line of the answer, or with turns a turn.
    Its release overwrites the scores on WebShop by a leave-one-out outcome, which is not built
"""

from dataclasses import replace
from functools import partial
from typing import Any

from sharpen import verify
from sharpen.core import Role
from sharpen.data import lessons, stepping
from sharpen.objectives import policy_gradient, rewards
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.verify import pieces


def recipe(grounding: float = 0.5, attribute: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not attribute:
        return parent
    taught = partial(lessons.outcomes, split=pieces.steps)
    role = Role("progress", gives="scores", bound="start", objective=rewards.attribute, teach=taught, lr=1e-3)
    return replace(
        parent,
        verify=partial(verify.attributed, split=pieces.steps, grounding=grounding),
        select=partial(stepping.by_steps, split=pieces.steps),
        objective=policy_gradient.grpo_by_turn,
        roles=(role,),
    )


NEUTRAL = dict(attribute=False)


def check(made: Recipe) -> bool:
    """Least squares on sums: of steps worth 0.7 and 0.3 the loss of these scores is 0, whatever their order."""
    role: Any = made.roles[0]
    import torch

    from sharpen.verify import learnt

    told = rewards.Taught(
        torch.tensor([[float("nan"), 1.0]]), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1), torch.ones(1)
    )
    exact = float(role.objective()(torch.tensor([[0.7, 0.3]]), told))
    found = learnt.rehearse(made.verify, "correct", scores=[0.7, 0.3], response="1 2", turns=("1 2",))
    return exact < 1e-9 and [round(c, 6) for c in found.credit] == [1.2, 0.8] and abs(found.reward - 1) < 1e-6
