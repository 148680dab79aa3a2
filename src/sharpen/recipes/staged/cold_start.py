"""A stronger model's right solutions as a cold start, then practice: the two together end above either.

Paper: Advancing Multimodal Reasoning via RL with Cold Start (waltonfuture/RL-with-Cold-Start), abstract and README
Parent: grpo
Differs: a share of the budget goes to imitating what the role `teacher` says of the training tasks and the verifier takes for
    right. From the paper: text only; the teacher is asked once for each task, greedily. That phrases of reflection are there
    before practice, and do not go with being right, is measured by `data.measures.reflection`, and not assumed
"""

from dataclasses import replace
from functools import partial

from sharpen import guard, rollouts
from sharpen.core import Role
from sharpen.data import measures, weak
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import answers, as_forced
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft


def recipe(cold: float = 0.3) -> Stages:
    told = partial(rollouts.weak.labelled, role="teacher")
    imitated = replace(sft.recipe(), rollout=told, select=partial(weak.told, keep="right"), roles=(Role("teacher"),))
    return staging.sequence(
        Stage("cold", imitated, cold, handover.mean, guard.always),
        Stage("rl", grpo.recipe(), 1 - cold, handover.last, guard.always),
    )


NEUTRAL = dict(cold=0.0)


def check(made: Stages) -> bool:
    """What the teacher got wrong is not shown; and phrases that stand in right and wrong answers alike do not go with being
    right."""
    said = [as_forced(s) for s in answers(("wait, 4", 1), ("wait, 5", 0))]
    shown = made.stages[0].recipe.select(said)
    told = measures.reflection([*said, *answers(("4", 1), ("5", 0))])
    return [s.rollout.response for s in shown] == ["wait, 4"] and told.share == 0.5 and told.correlation == 0.0
