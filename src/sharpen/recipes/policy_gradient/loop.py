"""Leave-one-out advantages with PPO's clip make several updates on the same rollouts safe, without a value model.

Paper: arXiv 2502.01600 (LOOP), section 4
Parent: rloo
Differs: two passes in two minibatches, and for those a clipped likelihood ratio of each token (`whole`: of the response). From
    the paper: minibatches of whole groups; no ratio for each turn
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k loop_stays (answers that pay by chance, sixteen
    passes at a high rate: mean pay 0.573, by RLOO 0.444, by RLOO in one pass 0.575)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import rloo


def recipe(passes: int = 2, minibatches: int = 2, clip: float = 0.2, whole: bool = False) -> Recipe:
    parent = rloo.recipe()
    again = partial(policy_gradient.loop, clip=clip, whole=whole)
    reuses = passes * minibatches > 1
    return replace(parent, objective=again if reuses else parent.objective, passes=passes, minibatches=minibatches)


NEUTRAL = dict(passes=1, minibatches=1)


def check(made: Recipe) -> bool:
    """On the first update it is RLOO; at equal drift of its tokens a whole response is clipped where single tokens are not."""
    rewards, lengths = [[1, 0]], [5, 5]
    first = np.allclose(example(made.objective(), rewards), example(policy_gradient.rloo(), rewards))
    token, whole = (example(policy_gradient.loop(whole=w), rewards, lengths, ratio=1.05)[0].any() for w in (False, True))
    return first and bool(token) and not whole
