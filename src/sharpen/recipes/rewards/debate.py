"""A weak judge that has heard both sides of a debate between strong models judges better than one that sees the answer alone.

Paper: arXiv 2501.13124 (Debate helps weak-to-strong), sections 3 and 4; turns and sizes are not stated in what was read
Parent: grpo
Differs: two copies of a debater argue that each answer is right, and that it is wrong; weak judges, each with a debate of its
    own, say yes or no, their share is the reward, and each learns from its judgements that came out right. From the paper: the
    strong model is paid by the judges' labels (GRPO) instead of tuned on them, and labels are of its own answers
Status: reproduced on a toy: python bench/reward_toys.py debate (sides that show the decisive fact with chance 0.6 and 0.3 a
    turn: three turns take a judge from 50.0 to 76.3 %, the closed form 76.6; where both show it alike he stays at 50)
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.core import Role
from sharpen.data import judgements
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(rounds: int = 1, judges: int = 2, debated: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not debated:
        return parent
    weak = Role("judge", bound="start", objective=policy_gradient.sft, teach=judgements.right_ones)
    return replace(
        parent,
        verify=partial(verify.debated, rounds=rounds, judges=judges),
        roles=(Role("debater", bound="student"), weak),
    )


NEUTRAL = dict(debated=False)


def check(made: Recipe) -> bool:
    """Two judges, yes and no: 1/2; the debate is in what they are asked, and both sides spoke first once."""
    from sharpen.verify import learnt

    rounds = getattr(made.verify, "keywords", {})["rounds"]
    words = [*["for", "against"] * (2 * rounds), "Yes.", "No."]
    return learnt.rehearse(made.verify, "wrong", words=words).reward == 0.5 and made.roles[1].teach is judgements.right_ones
