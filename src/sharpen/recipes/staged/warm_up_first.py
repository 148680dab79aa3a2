"""Imitating how a puzzle is worked out, then practice on a hundred tasks of the subject, beats practice on those hundred alone.

Paper: arXiv 2505.13718 (Warm Up Before You Train), README and configuration: 5 epochs, then at most 100 examples, 10 samples
    each
Parent: grpo
Differs: worked solutions of the families in `puzzle`, then GRPO on at most `most` different tasks of all others. From the
    paper: puzzles are the embedded families', no Knights and Knaves by a larger model; no epochs
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum, guard
from sharpen.core import Arm, Task, TaskSource
from sharpen.curriculum import Attempts
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft


def recipe(warm: float = 0.4, most: int = 100, puzzle: str = "number_sorting", subject: str = "") -> Stages:
    shown = replace(sft.recipe(), curriculum=partial(curriculum.only, families=puzzle))
    practised = grpo.recipe()
    if most:
        practised = replace(practised, curriculum=partial(curriculum.few, most=most, families=subject))
    return staging.sequence(
        Stage("warm_up", shown, warm, handover.last, guard.always),
        Stage("rl", practised, 1 - warm, handover.last, guard.always),
    )


NEUTRAL = dict(warm=0.0, most=0)


def check(made: Stages) -> bool:
    """The first stage draws the puzzle's family alone; the second never more than a hundred tasks, however often it is
    asked."""
    arms = [Arm("number_sorting", 1), Arm("spell_backward", 1)]
    first = made.stages[0].recipe.curriculum({}, arms, 4, 2, np.random.default_rng(0))
    pool = Attempts(TaskSource("toy", tuple(arms), drawn), 0, 80)
    asked = [made.stages[1].recipe.curriculum({}, arms, 40, 2, np.random.default_rng(i), attempts=pool) for i in range(12)]
    return {arm.family for arm, _ in first} == {"number_sorting"} and len({what for a in asked for what, _ in a}) == 100


def drawn(arm: Arm, split: str, index: int, seed: int) -> Task:
    return Task(({"role": "user", "content": f"{arm} {index}"},), "4", arm.family, arm.level, split)
