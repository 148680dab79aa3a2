"""A value for every token credits the step that mattered, where a group's mean credits the whole response.

Paper: arXiv 1707.06347 (PPO), sections 3 and 5; advantages: arXiv 1506.02438 (GAE), equation 16
Parent: none
Differs: from GRPO, whose tasks and numbers it takes: a value head instead of groups; two passes in two minibatches. From the
    papers: the head is linear on the student's frozen last state; no KL in the reward
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k ppo_credits (of six tokens the first decides:
    99.5 % right after 40 steps, by GRPO 96.3; the logits of the others strayed by 0.025, by GRPO 0.106)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(clip: float = 0.2, gamma: float = 1.0, lam: float = 0.95, passes: int = 2, minibatches: int = 2) -> Recipe:
    ppo = partial(policy_gradient.ppo, clip=clip, gamma=gamma, lam=lam)
    return replace(grpo.recipe(), objective=ppo, passes=passes, minibatches=minibatches)


NEUTRAL: dict[str, object] = {}


def check(made: Recipe) -> bool:
    """Without a value yet, the last token of a right answer is credited most, those before it lam times less, each lower."""
    c = example(made.objective(), [[1], [0]], lengths=[3, 3])
    return bool(c[0, 2] > c[0, 1] > c[0, 0] > 0 > c[1].max()) and np.isclose(c.sum(), 0)
