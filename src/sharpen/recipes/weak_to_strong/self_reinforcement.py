"""A model tuned on a few annotated tasks goes on by what sets its answers apart from the untuned one's, without more labels.

Paper: arXiv 2405.04086 (Optimizing Reasoning Abilities with Weak Supervision), abstract; its loss is not stated in what was
    read
Parent: dpo
Differs: after imitation of worked solutions, the role `base`, the untuned model, answers each task once, and the student's
    majority answer is preferred to it where they differ. No gold answer is used in that stage. Exactly, without that filter the
    optimum is pi_ref * (pi_tuned / pi_base)^(1 / beta): what tuning did wrong grows like what it did right
"""

from dataclasses import replace
from functools import partial

from sharpen import guard, rollouts
from sharpen.core import Role
from sharpen.data import weak
from sharpen.guard import handover
from sharpen.objectives import distillation
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.preference import dpo
from sharpen.recipes.supervised import sft


def recipe(seed: float = 0.2, differ: bool = True) -> Stages:
    preferred = dpo.recipe()
    if differ:
        own = partial(rollouts.weak.opposed, role="base")
        preferred = replace(preferred, rollout=own, select=weak.over_base, roles=(Role("base"),), samples=preferred.samples + 1)
    return staging.sequence(
        Stage("seed", sft.recipe(), seed, handover.last, guard.always),
        Stage("differ", preferred, 1 - seed, handover.last, guard.always),
    )


NEUTRAL = dict(seed=0.0, differ=False)


def check(made: Stages) -> bool:
    """By hand: 0.6 against 0.4 right goes to 0.771 at beta 1, and a seed that made it worse, 0.4 against 0.6, to 0.229."""
    good, bad = (distillation.extrapolated([p, 1 - p], [p, 1 - p], [1 - p, p], beta=1.0)[0] for p in (0.6, 0.4))
    return abs(good - 3.375 / 4.375) < 1e-12 and abs(bad - 1 + good) < 1e-12
