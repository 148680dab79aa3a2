"""The other responses to the same prompt are the best free baseline: unbiased, and less noisy than the batch's mean.

Paper: arXiv 2402.14740 (Back to Basics), the REINFORCE leave-one-out estimator
Parent: reinforce
Differs: the baseline is the mean reward of the group's other responses; from the paper: no KL penalty
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k rloo_is (where one prompt is solved nine times
    in ten and one once, mean squared error of the gradient 0.013 against 0.026 with the batch's mean, which is biased; where
    both are solved every second time 0.036 against 0.023)
Tried: sharpen compare grpo rloo dr_grpo dapo gspo cispo nft rft hpt online_dpo --budget 3m --seeds 3 --set average=0.97
    --set lr=2e-4 (no difference to grpo shown: -0.7 points, -3.3 to 1.9)
"""

from dataclasses import replace

import numpy as np

from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import reinforce


def recipe(leave_one_out: bool = True) -> Recipe:
    parent = reinforce.recipe()
    return replace(parent, objective=policy_gradient.rloo) if leave_one_out else parent


NEUTRAL = dict(leave_one_out=False)


def check(made: Recipe) -> bool:
    """By hand: 1 - (0 + 0)/2 = 1 and 0 - (1 + 0)/2 = -1/2, over three responses; a group of one gets 0."""
    c = example(made.objective(), [[1, 0, 0]])[:, 0]
    return np.allclose(c, [1 / 3, -1 / 6, -1 / 6]) and not example(made.objective(), [[1]]).any()
