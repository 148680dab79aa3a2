"""A pair of answers, one right and one wrong, teaches as reinforcement learning does, without a reward model or a value model.

Paper: arXiv 2305.18290 (DPO), equation 7; beta 0.1 and the gradient's weight, section 4
Parent: none
Differs: from GRPO, whose tasks and numbers it takes: each right answer is paired with a wrong one, and the reference is the
    student when the loop began; from the paper: pairs are the student's own answers of this step, ordered by the verifier
Status: reproduced on a toy: python -m pytest tests/objectives/test_preferences.py -k dpo_optimum (four answers in a table,
    labels by their rewards: beta times the log-ratio to the reference is the reward to 1e-4, which is the optimum of reward
    less beta times KL)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import pairs
from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(beta: float = 0.1) -> Recipe:
    return replace(grpo.recipe(), select=pairs.right_vs_wrong, objective=partial(preferences.dpo, beta=beta))


NEUTRAL: dict[str, object] = {}


def check(made: Recipe) -> bool:
    """At the reference a pair's margin is 0: every token of either side gets beta sigma(0) = 0.05, whatever its length."""
    c = example(made.objective(), [[1, 0], [1, 1]], lengths=[1, 3, 2, 2])
    return np.allclose(c[0, 0], 0.05) and np.allclose(c[1], -0.05) and not c[2:].any()
