"""How closely a question's tokens point in the student's own states tells which questions it learns first, in one pass.

Paper: arXiv 2506.02281 (GAIN-RL), its release: concentration of angles, Gaussian over ranks, tanh updates
Parent: uniform
Differs: the pool is sorted once by the concentration of angles, and the centre of what is drawn moves on with accuracy and
    concentration. From the paper: the last hidden states instead of the last layer's input; ranks and widths are shares of the
    pool, the centre moves each step; the system prefix is what all prompts begin with
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import similarity, testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(width: float = 0.13, step: float = 0.02, alpha: float = 2.0, pool: int = 100) -> Recipe:
    parent = replace(uniform.recipe(), pool=pool)
    drawn = partial(curriculum.by_angle, width=width, step=step, alpha=alpha)
    return replace(parent, curriculum=drawn) if width < 10 else parent


NEUTRAL = dict(width=10.0, pool=1000)


def check(made: Recipe) -> bool:
    """By hand, 500 to a step: accuracy alone moves the centre by 0, 190 and 381 at 1/2, 0.7 and 1, never back; on the bandit,
    where short questions are concentrated, those that are drawn grow longer."""
    steps = [similarity.moved(a, 0.0, 500, 2.0, 0.5) for a in (0.3, 0.5, 0.7, 1.0)]
    places = testbed.run(made.curriculum, testbed.Bandit(tasks=20), steps=40, prompts=8, samples=2).state.kept["centre"]
    return [round(s) for s in steps] == [0, 0, 190, 381] and places[0] > 0
