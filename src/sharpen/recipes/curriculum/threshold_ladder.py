"""Climbing a level once it is mastered, and stepping back where it is not, keeps a student where it can succeed.

Paper: arXiv 2505.24760 (Reasoning Gym), section 5.3; thresholds of its trainer's configuration (0.7 up, 0.3 down)
Parent: grpo
Differs: from the paper: the window is `steps` steps of the family, and a share `review` of the prompts goes to every arm
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py -k threshold_ladder (on the bandit +18.1 points
    of the rollouts, against uniform, where success is neither rare nor sure, 95 % 17.2 to 19.0, ten seeds; +82.0 on the hardest
    level)
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(up: float = 0.7, down: float = 0.3, steps: int = 10, review: float = 0.1, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    climb = partial(curriculum.threshold_ladder, up=up, down=down, steps=steps, review=review)
    return replace(parent, curriculum=climb) if review < 1 else parent


NEUTRAL = dict(review=1.0)


def check(made: Recipe) -> bool:
    """It climbs while it succeeds, and not onto a level beyond reach for longer than it takes to fall off again."""
    shares = testbed.run(made.curriculum, testbed.Bandit((-1, 1, testbed.WALL)), steps=150, prompts=40).shares()
    return shares[:10].mean(axis=0).argmax() == 0 and shares[100:, 1].mean() > 0.2 and shares[100:, 0].mean() < 0.2
