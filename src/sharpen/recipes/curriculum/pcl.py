"""A small model that guesses success from the prompt finds tasks of middling difficulty without rolling them out.

Paper: arXiv 2510.01135 (PCL), section 4: greedy, target 1/2, four candidates for each prompt
Parent: uniform
Differs: the value model is a ridge regression on hashed words, family and level instead of a language model with a head, so
    that it costs a millisecond on a processor; the objective stays the parent's (paper: no clipping, no deviation)
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py -k pcl (on the bandit its guesses explain 93 %
    of the variance of success, one rollout a third; 47 % of the groups are silent with 16 rollouts, 60 % of uniform's with 64,
    two seeds)
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(candidates: int = 4, target: float = 0.5, keep: float = 0.7) -> Recipe:
    parent = uniform.recipe()
    guessed = partial(curriculum.pcl, candidates=candidates, target=target, keep=keep)
    return replace(parent, curriculum=guessed) if candidates > 1 else parent


NEUTRAL = dict(candidates=1)


def check(made: Recipe) -> bool:
    """Where success goes by the level, the level nearest to one half is found and preferred."""
    world = testbed.Bandit((-9, -2, 0, 2, 9), transfer=0, rate=0)
    return testbed.run(made.curriculum, world, steps=20, prompts=16).shares()[5:].mean(axis=0)[2] > 0.6
