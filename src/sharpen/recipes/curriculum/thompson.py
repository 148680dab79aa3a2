"""Drawing from the posterior of each skill goes to what may well be half mastered, and looks where little is known.

Paper: none; Thompson 1933 (Biometrika 25) on the skill map
Parent: grpo
Differs: the reward of an arm is p (1 - p), its success rate p drawn from a posterior measured on validation; `floor` is uniform
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py -k thompson (on the bandit's hardest level
    +35.5 points against uniform, 95 % 14.2 to 56.9, ten seeds; of 400 prompts 388 go to an arm solved in two of four tasks, 12
    to one surely at 95 %; of two arms at 90 % the less known gets no more, 162)
Tried: sharpen compare quickstart:adaptive=false quickstart
    quickstart:curriculum={dump,learning_progress,thompson,omni,ladder,mixing,alp_gmm,cures} --budget 3m --seeds 3 (three
    minutes a run: in quickstart no difference to even practice shown, -2.2 points, -7.4 to 3.1; with rft instead of it, 0.1
    points, -1.4 to 1.5)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.core import Arm, Evaluation
from sharpen.recipe import Recipe, call
from sharpen.recipes.policy_gradient import grpo


def recipe(keep: float = 0.5, strength: float = 4.0, floor: float = 0.1, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    bandit = partial(curriculum.thompson, keep=keep, strength=strength, floor=floor)
    return replace(parent, curriculum=bandit) if floor < 1 else parent


NEUTRAL = dict(floor=1.0)


def check(made: Recipe) -> bool:
    """Half mastered is preferred to mastered and to hopeless by far; with nothing measured all are alike."""
    arms = [Arm("a", 1), Arm("b", 1), Arm("c", 1)]
    seen = [Evaluation({arms[0]: (True,) * 40, arms[1]: (True, False) * 20, arms[2]: (False,) * 40})]
    known, blank = (call(made.curriculum, {}, arms, 300, 8, np.random.default_rng(0), evaluations=e) for e in (seen, []))
    return sum(arm == arms[1] for arm, _ in known) > 250 and all(sum(a == arm for a, _ in blank) > 60 for arm in arms)
