"""Imitating worked solutions teaches the form of an answer fast, at the price of what the student can do otherwise.

Paper: none; maximum likelihood
Parent: none
Differs: from GRPO, whose tasks and numbers it takes: as many rows a step, each another task's worked
    solution instead of the student's own answer
"""

from dataclasses import replace

import numpy as np

from sharpen import data, rollouts
from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe() -> Recipe:
    parent = grpo.recipe()
    return replace(
        parent,
        rollout=rollouts.demonstrate,
        select=data.keep_correct,
        objective=policy_gradient.sft,
        prompts=parent.prompts * parent.samples,  # as many rows a step as its parent
        samples=1,
    )


NEUTRAL: dict[str, object] = {}


def check(made: Recipe) -> bool:
    """Every token of every response weighs the same: six tokens, 1/6 each, whatever the reward."""
    c = example(made.objective(), [[1], [0.5]], lengths=[2, 4])
    return np.allclose(c[c != 0], 1 / 6) and np.isclose(c.sum(), 1)
