"""Practice that begins with a buffer of the frozen student's own tries needs none of the data that it was tuned on before.

Paper: arXiv 2412.07762 (WSRL), sections 4 and 5: 5,000 steps of the frozen policy into an empty buffer, no offline data after
Parent: grpo
Differs: worked solutions are imitated, and dropped; for a share of the practice nothing is learnt, and what the student tries
    fills a buffer; then each step learns from its own groups and from groups of the buffer, with the ratio to who drew them.
    From the paper: GRPO with a clip instead of an ensemble of critics; the buffer is in groups
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sharpen import guard
from sharpen.data import replay
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import answers
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft


def recipe(offline: float = 0.3, warm: float = 0.1, again: int = 20, most: int = 2000) -> Stages:
    practised = grpo.recipe()
    if again:
        practised = replace(practised, select=partial(replay.warmed, warm=warm, again=again, most=most))
    return staging.sequence(
        Stage("offline", sft.recipe(), offline, handover.last, guard.always),
        Stage("online", practised, 1 - offline, handover.last, guard.always),
    )


NEUTRAL = dict(offline=0.0, again=0)


def check(made: Stages) -> bool:
    """While it warms up nothing is learnt and all is kept; after, old groups come whole, beside the new ones."""
    select, rng = made.stages[-1].recipe.select, np.random.default_rng(0)
    buffer: list[Any] = []
    first = select(answers(("4", 1), ("5", 0)), progress=0.05, buffer=buffer, rng=rng)
    held = len(buffer)
    later = select(answers(("4", 1), ("6", 0), group=1), progress=0.5, buffer=buffer, rng=rng)
    return first == [] and held == 2 and sorted(s.rollout.response for s in later) == ["4", "4", "5", "6"]
