"""Difficulty measured again just before each stage keeps an easy-to-hard order right while the student changes.

Paper: arXiv 2505.08364 (Learning Like Humans), ADCL; the number of batches is ours, the paper's text could not be read
Parent: grpo
Differs: arms are ordered, not tasks, and validation measures them, so that no rollouts are spent on it; without EGSR; a share
    `review` of the prompts goes to every arm
Tried: python -m pytest tests/curriculum/test_curricula.py -k first_order (on the bandit the first order of ten arms goes wrong,
    rank correlation 0.78, but 40 questions an arm are no nearer on the harder half: 0.00 more, give or take 0.10, sixty seeds)
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(batches: int = 5, review: float = 0.1, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    order = partial(curriculum.adaptive_order, batches=batches, review=review)
    return replace(parent, curriculum=order) if review < 1 else parent


NEUTRAL = dict(review=1.0)


def check(made: Recipe) -> bool:
    """On arms in a wrong order of level, the easiest have their turn first and the hardest last."""
    shares = testbed.run(
        made.curriculum, testbed.Bandit((3, -1, 5, 1), transfer=0, rate=0), steps=80, prompts=40, validation=400
    ).shares()
    return [shares[i : i + 20].mean(axis=0).argmax() for i in range(0, 80, 20)] == [1, 3, 0, 2]
