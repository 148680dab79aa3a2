"""A bonus for what was tried little finds the distribution with most to learn, and never gives one up for good.

Paper: arXiv 2504.09710 (DUMP), section 3; numbers of the release: window 300, temperature 0.1
Parent: grpo
Differs: distributions are arms; prompts are drawn by systematic sampling; only training advantages reach it (the release feeds
    it validation rewards too); `floor` is ours
Status: reproduced on a toy: python -m pytest tests/test_curricula.py -k dump (on the bandit's hardest level +85.5 points
    against uniform, 95 % 84.8 to 86.2, ten seeds; a mastered arm is still visited in step 1,340 of 1,500, ever more rarely)
Tried: sharpen compare quickstart:curriculum=false quickstart
    quickstart:teach={dump,learning_progress,thompson,omni,ladder,mixing,alp_gmm,cures} --budget 3m --seeds 3 (three minutes
    a run: in quickstart no difference to even practice shown, -0.9 points, -1.8 to 0.0; with rft instead of it, 2.4 points,
    -0.3 to 5.0)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import teach
from sharpen.core import Arm
from sharpen.recipe import Recipe, call
from sharpen.recipes.policy_gradient import grpo


def recipe(window: int = 300, temperature: float = 0.1, explore: float = 1.0, floor: float = 0.0, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    bandit = partial(teach.dump, window=window, temperature=temperature, explore=explore, floor=floor)
    return replace(parent, teach=bandit) if floor < 1 else parent


NEUTRAL = dict(floor=1.0)


def check(made: Recipe) -> bool:
    """By hand: after 100 and 10 rollouts without any advantage, bonuses 0.305 and 0.925 apart, a ratio of exp(6.2)."""
    a, b = Arm("a", 1), Arm("b", 1)
    chosen = call(made.teach, {}, [a, b], 10**6, 8, np.random.default_rng(0), totals={a: 100, b: 10})
    bonus = [np.sqrt(2 * np.log(111) / (n + 1)) for n in (100, 10)]
    ratio = sum(arm == b for arm, _ in chosen) / sum(arm == a for arm, _ in chosen)
    return abs(np.log(ratio) - (bonus[1] - bonus[0]) / 0.1) < 0.05
