"""A teacher that chooses a place on a manifold of tasks in one step finds where there is most to regret without building tasks.

Paper: arXiv 2210.10243 (CLUTR), sections 3 and 4; regret as its code pays it, the best try less the mean of all
Parent: uniform
Differs: a linear autoencoder on words, family and level, and a Gaussian teacher moved to what was regretted; the task is the
    nearest of the pool. From the paper: no recurrent autoencoder that makes new tasks, no PPO for the teacher, and the best of
    the student's own tries stands for the antagonist
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import latent, testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(dims: int = 4, rate: float = 0.2, explore: float = 0.2, pool: int = 50) -> Recipe:
    parent = replace(uniform.recipe(), pool=pool)
    teacher = partial(curriculum.clutr, dims=dims, rate=rate, explore=explore)
    return replace(parent, curriculum=teacher) if explore < 1 else parent


NEUTRAL = dict(explore=1.0, pool=1000)


def check(made: Recipe) -> bool:
    """Nothing is regretted where all fail or all succeed; of five levels the teacher leaves the mastered and the hopeless."""
    world = testbed.Bandit((-9, -9, 1, 9, 9), transfer=0, rate=0, tasks=20)
    middle = testbed.run(made.curriculum, world, steps=25, prompts=8).shares()[10:, 2].mean()
    return latent.regret(np.array([0.0, 0.25, 1.0])).tolist() == [0.0, 0.75, 0.0] and middle > 0.35
