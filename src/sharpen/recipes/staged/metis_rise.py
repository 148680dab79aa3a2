"""Practice first and teaching after: what it does now and then from its own answers, what it cannot do from an expert's.

Paper: arXiv 2506.13056 (Metis-RISE), abstract; its numbers are not stated there
Parent: grpo
Differs: after practice without a cold start, each task is tried `samples` times, and routed: sometimes right, its own right
    answers are imitated; never right, the worked solution; always right, nothing. From the paper: tasks are tried as training
    goes on, not once before it; text only
"""

from dataclasses import replace
from functools import partial

from sharpen import guard
from sharpen.data import routing
from sharpen.guard import handover
from sharpen.objectives import policy_gradient
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import answers, as_forced
from sharpen.recipes.policy_gradient import grpo


def recipe(enhance: float = 0.4, own: bool = True, expert: bool = True) -> Stages:
    taught = replace(
        grpo.recipe(),
        select=partial(routing.routed, own=own, expert=expert),
        objective=policy_gradient.sft,
        samples=8,
        prompts=20,
    )
    return staging.sequence(
        Stage("rise", grpo.recipe(), 1 - enhance, handover.last, guard.always),
        Stage("enhance", taught, enhance, handover.best, guard.always),
    )


NEUTRAL = dict(enhance=0.0)


def check(made: Stages) -> bool:
    """Always, sometimes and never right: nothing, the right answer, the worked solution; the three counts add up to the
    groups."""
    tried = [s for g, k in enumerate((2, 1, 0)) for s in answers(*[("4", 1.0)] * k, *[("5", 0.0)] * (2 - k), group=g)]
    demos = [as_forced(answers((f"shown {g}", 1), group=g)[0]) for g in range(3)]
    notes: dict = {}
    kept = made.stages[-1].recipe.select(tried, demos=demos, notes=notes)
    counts = notes["routes"]
    return [s.rollout.response for s in kept] == ["4", "shown 2"] and counts == dict(own=1, expert=1, nothing=1, unshown=0)
