"""Practice of one subject alone lifts the other one too, and that one's practice afterwards loses little of the first.

Paper: arXiv 2505.16400 (AceReason-Nemotron 1.0), abstract; stages at 8, 16, 24 and 32 thousand tokens
Parent: grpo
Differs: a subject's families first at a fraction of the longest answer, then at all of it on tasks that are solved at most six
    times in sixteen; then the other subject's at full length. One update for each batch, so no ratio leaves 1. From the paper:
    subjects are families, numbers first and strings after; two lengths; solved tasks are gated step by step, not taken out of
    an epoch
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum, data, guard
from sharpen.core import Arm
from sharpen.guard import handover
from sharpen.recipe import Recipe, Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import answers
from sharpen.recipes.policy_gradient import grpo

FIRST, SECOND = "number_sorting,number_filtering,rotate_matrix", "spell_backward,palindrome_generation"


def subject(parent: Recipe, families: str) -> Recipe:
    """The recipe on these families alone."""
    return replace(parent, curriculum=partial(curriculum.only, families=families))


def recipe(
    short: float = 0.25, other: float = 0.35, most: float = 6 / 16, part: float = 0.5, first: str = FIRST, second: str = SECOND
) -> Stages:
    whole = grpo.recipe()
    begun = replace(whole, max_tokens=max(round(part * whole.max_tokens), 1))
    hard = replace(whole, select=partial(data.gate, high=most), refills=2) if most < 1 else whole
    return staging.sequence(
        Stage("short", subject(begun, first), short, handover.last, guard.always),
        Stage("long", subject(hard, first) if first else hard, 1 - short - other, handover.last, guard.always),
        Stage("other", subject(whole, second), other, handover.last, guard.always),
    )


NEUTRAL = dict(short=0.0, other=0.0, most=1.0, first="")


def check(made: Stages) -> bool:
    """The first stage stops at half of the tokens; the second learns from what is solved now and then, not from what mostly
    is."""
    short, long, other = (stage.recipe for stage in made.stages)
    tried = [s for g, k in enumerate((4, 1, 0)) for s in answers(*[("4", 1.0)] * k, *[("5", 0.0)] * (5 - k), group=g)]
    drawn = other.curriculum(
        {}, [Arm("spell_backward", 1), Arm("rotate_matrix", 1), Arm("palindrome_generation", 1)], 4, 2, np.random.default_rng(0)
    )
    return (
        2 * short.max_tokens == long.max_tokens
        and {s.group for s in long.select(tried)} == {1}
        and {arm.family for arm, _ in drawn} == set(SECOND.split(","))
    )
