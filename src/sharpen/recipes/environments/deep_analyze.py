"""Single abilities before whole episodes, and practice after both, beat the same budget of practice alone.

Paper: arXiv 2510.16872 (DeepAnalyze), curriculum of three stages and rewards as released
Parent: grpo
Differs: imitation of one-step questions on a table, then of all of them, then practice on all; the reward is the mean of right
    and the share of queries without an error. From the paper: its RL script samples at temperature 0, where five copies carry
    no gradient, and pays min(turns / 10, 1) for open research, which ten empty turns earn in full: neither is here
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum, guard
from sharpen.core import Arm, Choices
from sharpen.curriculum import History
from sharpen.environments import table
from sharpen.guard import handover
from sharpen.recipe import Method, Stage
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft
from sharpen.recipes.within import within


def easiest(history: History, arms: Sequence[Arm], prompts: int, samples: int, rng: np.random.Generator) -> Choices:
    """The lowest level of each family, evenly."""
    lowest = {family: min(a.level for a in arms if a.family == family) for family in {a.family for a in arms}}
    return curriculum.uniform(history, [a for a in arms if a.level == lowest[a.family]], prompts, samples, rng)


def recipe(single: float = 0.2, multi: float = 0.2, env: str = "table", levels: str = "1-3", act: bool = True) -> Method:
    if not act:
        return grpo.recipe()
    imitated = within(sft.recipe(), env, levels, turns=4, max_tokens=120)
    imitated = replace(imitated, rollout=partial(imitated.rollout, shown=True))
    practised = within(grpo.recipe(), env, levels, turns=4, max_tokens=120)
    return staging.sequence(
        Stage("single", replace(imitated, curriculum=easiest), single, handover.mean, guard.ratchet),
        Stage("multi", imitated, multi, handover.mean, guard.ratchet),
        Stage("rl", practised, 1 - single - multi, handover.last, guard.always),
    )


NEUTRAL = dict(act=False)


def check(made: Method) -> bool:
    """Three of four cells without an error and a right answer are 0.875; ten idle turns are worth a third as released."""
    return table.composite(1.0, 0.75) == 0.875 and abs(table.padded(0.0, 0.0, 10) - 1 / 3) < 1e-12
