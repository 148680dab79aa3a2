"""Prompts that name the arm they would rather go to, before arms with limited room take them, avoid a local optimum.

Paper: arXiv 2407.00496 (A Two-stage Reinforcement Learning-based Approach for Multi-entity Task Allocation), abstract and a
    note
Parent: grpo
Differs: entities are the prompts of a step, tasks its arms; pre-assignment and allocation follow a learnt sum of what is seen
    of an arm, taught by REINFORCE. From the paper: no attention and no hyper-network, whose purpose, any number of tasks, sums
    over arms have too; the pay is the step's mean |advantage|
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(rate: float = 0.5, room: float = 0.34, floor: float = 0.1, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    two_stage = partial(curriculum.allocated, rate=rate, room=room, floor=floor)
    return replace(parent, curriculum=two_stage) if floor < 1 else parent


NEUTRAL = dict(floor=1.0)


def check(made: Recipe) -> bool:
    """It learns to name the half-solved arm before the mastered and the hopeless ones, and no arm gets more than its room."""
    world = testbed.Bandit((-9, 0, 9, testbed.WALL), transfer=0, rate=0)
    shares = testbed.run(made.curriculum, world, steps=60, prompts=20).shares()[40:]
    return shares.mean(axis=0).argmax() == 1 and shares[:, 1].mean() > 0.3 and shares.max() < 0.34 * 0.9 + 0.1 + 0.06
