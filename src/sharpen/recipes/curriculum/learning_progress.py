"""Going where success changes, up or down, leaves alone what is mastered and what is hopeless.

Paper: Baranes and Oudeyer 2013 (Robotics and Autonomous Systems 61); with absolute progress, CURIOUS (arXiv 1810.06284)
Parent: grpo
Differs: regions are arms; progress compares two halves of a window of steps; a share `floor` is uniform
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py -k learning_progress_follows (on the bandit an
    arm beside a mastered and a hopeless one goes from 33 to 87 % of the rollouts once it is being forgotten)
Tried: sharpen compare quickstart:adaptive=false quickstart
    quickstart:curriculum={dump,learning_progress,thompson,omni,ladder,mixing,alp_gmm,cures} --budget 3m --seeds 3 (three
    minutes a run: in quickstart no difference to even practice shown, -0.7 points, -2.9 to 1.5)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.core import Arm, ArmStats
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(window: int = 20, floor: float = 0.2, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    progress = partial(curriculum.learning_progress, window=window, floor=floor)
    return replace(parent, curriculum=progress) if floor < 1 else parent


NEUTRAL = dict(floor=1.0)


def check(made: Recipe) -> bool:
    """An arm that rises and one that falls by as much get equal shares, beside one that stays: 45, 45 and 10 of 100."""
    levels = {1: (2, 6), 2: (6, 2), 3: (8, 8)}
    curve = {Arm("a", k): [ArmStats(t, Arm("a", k), 8, v[t // 10], 0.0, 0) for t in range(20)] for k, v in levels.items()}
    chosen = [arm.level for arm, _ in made.curriculum(curve, list(curve), 300, 8, np.random.default_rng(0))]
    return [chosen.count(k) for k in levels] == [140, 140, 20]
