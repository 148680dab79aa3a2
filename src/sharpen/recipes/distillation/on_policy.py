"""A teacher who grades every token of what the student says itself teaches faster than a reward at the end.

Paper: Lu 2025, thinkingmachines.ai/blog/on-policy-distillation; the reverse KL of arXiv 2306.13649 (GKD) by policy gradient
Parent: none
Differs: from GRPO, whose tasks and numbers it takes: the credit of a token is the teacher's log-probability less the
    student's, and rewards are not read
Status: reproduced on a toy: python -m pytest tests/objectives/test_distillation.py -k teacher_of_every (answers of three
    tokens: 60 % right after 5, 2 and 1 steps at three rates, by a reward at the end after 35, 12 and 7; of six tokens after 30,
    8 and 1, by the reward not in 60)
"""

from dataclasses import replace

import numpy as np

from sharpen.core import Role
from sharpen.objectives import distillation, example
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe() -> Recipe:
    return replace(grpo.recipe(), objective=distillation.on_policy, roles=(Role("teacher", gives="distributions"),))


NEUTRAL: dict[str, object] = {}


def check(made: Recipe) -> bool:
    """Tokens e times likelier to the student than to the teacher are pushed down by 1 / 4 tokens, whatever the reward."""
    c = example(made.objective(), [[1, 0]], ratio=np.e)
    return np.allclose(c, -1 / 4) and not example(made.objective(), [[1, 0]]).any()
