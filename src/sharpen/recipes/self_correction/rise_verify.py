"""A model that is rewarded for judging its own answers as well as for giving them learns to tell the right ones.

Paper: arXiv 2505.13445 (RISE, trust but verify), section 3; rewards 1, -0.5 and -1 as in its release
Parent: grpo
Differs: each answer is followed, in a conversation of its own, by the student's check of it, which is worth whether it says
what
    the verifier says; each is compared with its like in the group. From the paper: GRPO by turn instead of PPO; every answer is
    checked once, instead of 128 prompts of a batch eight times; a check that cannot be read is wrong, not worse than that
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.objectives import turns
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import critique


def recipe(verified: bool = True, clip: float = 0.2) -> Recipe:
    parent = grpo.recipe()
    if not verified:
        return parent
    judged = partial(verify.each_turn, kinds="ac")
    return replace(parent, rollout=critique.checked, verify=judged, objective=partial(turns.separate, clip=clip))


NEUTRAL = dict(verified=False)


def check(made: Recipe) -> bool:
    """A wrong answer that is called wrong has a right check, and the check's reward does not reach the answer."""
    from sharpen.core import Task

    task = Task(({"role": "user", "content": "2 + 2"},), "4", "f", 1)
    honest, flattering = (made.verify(task, said, turns=("5", said)) for said in ("It is wrong.", "It is right."))
    return honest.credit == (0.0, 1.0) and flattering.credit == (0.0, 0.0) and honest.outcome == "wrong"
