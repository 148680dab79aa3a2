"""A teacher's whole next-token distribution teaches more from the same tokens than the tokens themselves.

Paper: arXiv 1503.02531 (Hinton et al.), section 2; on the student's own answers: arXiv 2306.13649 (GKD), lambda 1
Parent: none
Differs: from GRPO, whose tasks and numbers it takes: rewards are not read; each token of the student's answers is drawn to the
    teacher's distribution by KL(teacher || student), at temperature 1
Status: reproduced on a toy: python -m pytest tests/objectives/test_distillation.py -k whole_distributions (40 tokens, a teacher
    of the student's own kind: KL on other prompts 0.001, 0.003 and 0.009, three seeds, by the tokens at best 0.16, 0.27 and
    0.24)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.core import Role
from sharpen.objectives import distillation, example_penalty
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe() -> Recipe:
    teacher = Role("teacher", gives="distributions")
    return replace(grpo.recipe(), objective=partial(distillation.distil, beta=0.0), roles=(teacher,))


NEUTRAL: dict[str, object] = {}


def check(made: Recipe) -> bool:
    """By hand: the gradient on a coin's logits is the student's distribution less the teacher's, (1/2 - 3/4, 1/2 - 1/4)."""
    loss, gradient = example_penalty(made.objective(), [[0.0, 0.0]], [[np.log(3), 0.0]])
    return np.allclose(gradient, [[-1 / 4, 1 / 4]]) and np.allclose(loss, np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25))
