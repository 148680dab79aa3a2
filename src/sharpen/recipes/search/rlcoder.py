"""A retriever that imitates which candidate makes the answer likeliest needs no labels, and learns when to retrieve nothing.

Paper: arXiv 2407.19487 (RLCoder), abstract; what its release does (main.py)
Parent: grpo
Differs: for tasks with `candidates` the role `retriever` names one or none; in training it is shown, and imitates, the number
    of the one with which the right answer is likeliest. So does the release, whose "reinforcement" is this. From both: a
    language model that says a number in place of an embedding, so ties are broken by a hash, and all candidates are looked at
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.core import Role
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.played import played
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import exploring


def recipe(retrieve: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not retrieve:
        return parent
    role = Role("retriever", bound="start", objective=policy_gradient.sft)
    paid = partial(verify.with_role, role="retriever")
    return replace(parent, rollout=exploring.retrieved, verify=paid, roles=(role,))


NEUTRAL = dict(retrieve=False)


def check(made: Recipe) -> bool:
    """In training the choice is shown, not asked; elsewhere the role chooses, and the student reads what it chose."""
    given = {"candidates": ["two and two are four", "rain"]}
    shown = played(made.rollout, "4", role=lambda m: "2", data=given)
    chosen = played(made.rollout, "4", role=lambda m: "2", data=given, split="test")
    asked = bytes(chosen.tokens.astype("uint8")).decode()
    ties = {exploring.lowest([1.0, 1.0, 2.0], f"{i}") for i in range(20)}
    return shown.others[0].spans[-1].forced and "rain" in asked and "four" not in asked and ties == {0, 1}
