"""What a weak model and the student agree on is right more often; then pairs against the majority teach without gold.

Paper: arXiv 2407.13647 (Weak-to-Strong Reasoning), both stages with the thresholds of the release, 0.6 and 0.8
Parent: dpo
Differs: first both answers are imitated where their final answers agree; then the weak answer is preferred to a minority of the
    student's where the majority says the same, and the majority to it where that is clear. From the paper: answers are drawn
    anew each step; the student's own first answer is drawn, not of an in-context example
"""

from dataclasses import replace
from functools import partial

from sharpen import guard, rollouts
from sharpen.core import Role
from sharpen.data import weak
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import answers, as_forced
from sharpen.recipes.preference import dpo
from sharpen.recipes.supervised import sft


def recipe(agree: float = 0.5, least: float = 0.6, sure: float = 0.8, contrast: bool = True) -> Stages:
    roles = (Role("weak"),)
    imitated = replace(sft.recipe(), rollout=rollouts.weak.agreed, select=weak.told, roles=roles)
    preferred = dpo.recipe()
    if contrast:
        pairs = partial(weak.contrastive, least=least, sure=sure)
        preferred = replace(preferred, rollout=rollouts.weak.opposed, select=pairs, roles=roles, samples=preferred.samples + 1)
    return staging.sequence(
        Stage("agree", imitated, agree, handover.last, guard.always),
        Stage("contrast", preferred, 1 - agree, handover.last, guard.always),
    )


NEUTRAL = dict(agree=0.0, contrast=False)


def check(made: Stages) -> bool:
    """By hand: four of five say 4. A weak 4 beats the 5; a weak 7 loses to a 4; where three of five agree, a weak 7 is left
    alone."""
    pairs = made.stages[1].recipe.select
    chosen = []
    for minority, said in ((1, "4"), (1, "7"), (2, "7")):
        own = answers(*[("4", 1.0)] * (5 - minority), *[("5", 0.0)] * minority)
        chosen.append([s.rollout.response for s in pairs([as_forced(answers((said, 0.0))[0]), *own])])
    return chosen == [["4", "5"], ["4", "7"], []]
