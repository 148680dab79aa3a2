"""Imitate, then prefer, then practise: at equal budget the three in turn end above reinforcement learning alone.

Paper: arXiv 2411.15124 (Tulu 3), sections 4 to 6; length-normalised DPO with beta 5, section 5.1.2
Parent: grpo
Differs: a share of the budget goes to worked solutions, then to pairs of the student's own right and wrong answers, whose
    margin is a mean over tokens; the mean of the accepted weights goes on from the first, the best from the second, and from
    neither where the ratchet finds nothing better. Practice pays nothing for answers that never end, and less (`endless`).
    Families that are kept `unseen` are measured only; training tasks with a measured question in them are left out. From the
    paper: GRPO instead of PPO with a value model, no KL; rewards of 1 and 0 instead of 10 and 0, so -1 for no end; pairs are
    of this step's answers; learning rates and sizes are GRPO's here
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sharpen import data, guard, tasks
from sharpen.guard import handover
from sharpen.objectives import example, preferences
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.preference import dpo
from sharpen.recipes.supervised import sft


def recipe(imitate: float = 0.2, prefer: float = 0.2, beta: float = 5.0, endless: float = 1.0, unseen: str = "") -> Stages:
    same: dict[str, Any] = dict(tasks=partial(tasks.unseen, families=unseen)) if unseen else {}
    preference = replace(dpo.recipe(), objective=partial(preferences.dpo, beta=beta, per_token=True), **same)
    practice = replace(grpo.recipe(), **same)
    practice = replace(practice, select=partial(data.finished, most=-endless)) if endless else practice
    return staging.sequence(
        Stage("sft", replace(sft.recipe(), **same), imitate, handover.mean, guard.ratchet),
        Stage("dpo", preference, prefer, handover.best, guard.ratchet),
        Stage("rl", practice, 1 - imitate - prefer, handover.last, guard.always),
    )


NEUTRAL = dict(imitate=0.0, prefer=0.0, endless=0.0)


def check(made: Stages) -> bool:
    """The stages in order share the whole budget; at the reference a pair pulls each side by beta / 2, however long it is."""
    sides = example(made.stages[1].recipe.objective(), [[1, 0]], lengths=[1, 4]).sum(axis=1)
    names = [stage.name for stage in made.stages]
    whole = abs(sum(stage.share for stage in made.stages) - 1) < 1e-6
    return names == ["sft", "dpo", "rl"] and whole and bool(np.allclose(sides, [2.5, -2.5]))
