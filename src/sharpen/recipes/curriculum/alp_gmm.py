"""A mixture of Gaussians over task parameters finds the regions where success changes, whatever their shape.

Paper: arXiv 1910.07224 (ALP-GMM), section 4; window and fit every 250, 2 to 10 Gaussians, 20 % uniform
Parent: grpo
Differs: parameters are family and level, and what is drawn is rounded to the nearest arm; an observation is an arm's success in
    one step, so the nearest earlier one is the same arm's
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py -k alp_gmm_finds (on a line of 24 cells, each
    unlocked by the one before, the learnable ones get 4.3 times their share of the rollouts, 4.9 times beside a useless second
    parameter; two seeds; other shapes not tried)
Tried: sharpen compare quickstart:adaptive=false quickstart
    quickstart:curriculum={dump,learning_progress,thompson,omni,ladder,mixing,alp_gmm,cures} --budget 3m --seeds 3 (three
    minutes a run: in quickstart no difference to even practice shown, -1.1 points, -3.0 to 0.9)
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(fit_every: int = 250, components: int = 10, explore: float = 0.2, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    mixture = partial(curriculum.alp_gmm, fit_every=fit_every, components=components, explore=explore)
    return replace(parent, curriculum=mixture) if explore < 1 else parent


NEUTRAL = dict(explore=1.0)


def check(made: Recipe) -> bool:
    """Of a learnable arm among mastered and impossible ones, more is seen than of any other once a mixture is fitted."""
    world = testbed.Bandit((-9, -9, -9, 0, testbed.WALL, testbed.WALL), transfer=0.0, rate=0.0)
    shares = testbed.run(made.curriculum, world, steps=200, prompts=24).shares()[100:].mean(axis=0)
    return shares.argmax() == 3 and shares[3] > 2 / 6
