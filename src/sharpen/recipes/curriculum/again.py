"""A new student that follows the curriculum of the earlier one most like it gets where that one got in fewer episodes.

Paper: Meta Automatic Curriculum Learning (AGAIN), its release: five neighbours by pre-test, parts with progress above a
    threshold, next part at the expert's mean reward (mode R), mixed with its own ALP-GMM
Parent: alp_gmm
Differs: earlier students are runs, `--set curriculum.earlier=RUN,RUN`, read as data; a part of their curriculum is the progress
    of each arm in a window of their training rollouts, not the stored Gaussians. From the paper: the threshold is 0.05 of
    success instead of 0.2 of a return, and no random share of its own. Without an earlier run it is ALP-GMM
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.core import Arm, ArmStats
from sharpen.curriculum import earlier as runs
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import alp_gmm


def recipe(earlier: str = "", neighbours: int = 5, own: float = 0.3) -> Recipe:
    parent = alp_gmm.recipe()
    led = partial(curriculum.again, earlier=earlier, neighbours=neighbours, own=own)
    return replace(parent, curriculum=led) if own < 1 else parent


NEUTRAL = dict(own=1.0)


def check(made: Recipe) -> bool:
    """Of two kinds of students whose skills are mirrored, the one of one's own kind is followed, whose easy arm came first."""
    kinds = np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.9], [0.2, 0.5, 0.8]])
    arms = [Arm("a", i) for i in range(2)]
    learnt = [ArmStats(t, arms[t >= 4], 10, t % 4 * 3, 0.0, 0) for t in range(8)]
    weights, rewards = runs.curriculum_of(learnt, arms, 4, 0.1)
    follows = runs.nearest(np.array([0.15, 0.5, 0.85]), kinds, np.array([0.9, 0.5, 0.7]), 2)
    return follows == 2 and weights.argmax(axis=1).tolist() == [0, 1] and np.allclose(rewards, 0.45) and bool(made.curriculum)
