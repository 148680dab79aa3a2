"""All that a guard may keep, at once: old answers with pauses, weights with their importance, the old student's logits, weights
that unlearn first, and a hand-over that merges.

Paper: none
Parent: none
Differs: it is no method
"""

from dataclasses import replace
from functools import partial

from sharpen import guard
from sharpen.data import rehearsal
from sharpen.guard import handover
from sharpen.models import merging
from sharpen.objectives import consolidation, gradients, policy_gradient
from sharpen.objectives import rehearsal as practised
from sharpen.recipe import Stage, Stages
from sharpen.recipes.supervised import sft


def remembered(*, stage: int):
    held = consolidation.ewc(policy_gradient.sft, strength=10.0, samples=16)
    return practised.remember(lambda: held, stage=stage)


def recipe() -> Stages:
    made = replace(
        sft.recipe(),
        select=partial(rehearsal.spaced, size=8),
        objective=partial(gradients.refreshed, remembered),
        prompts=8,
    )
    merge = partial(merging.sparser, density=0.5)
    return Stages((Stage("set", made, 1.0, handover.both, guard.always, merge=merge),))
