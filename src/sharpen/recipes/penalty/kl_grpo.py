"""A pull back to where the loop began keeps what the student could do, at a small price in reward.

Paper: arXiv 2402.03300 (GRPO), equation 3; beta 0.04, the estimator k3 of joschu.net/blog/kl-approx.html
Parent: grpo
Differs: beta times k3 is in the loss, whose mean gradient is that of KL(start || student), not of KL(student || start);
    `estimator` k2 has the latter's. k1 has none and only adds noise
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k kl_grpo (on prompts that share weights with
    those practised, KL from the start 0.90 against GRPO's 1.01, 95 % 0.07 to 0.15 less, six seeds; reward 0.563 against 0.570)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, penalties, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(beta: float = 0.04, estimator: str = "k3") -> Recipe:
    return replace(grpo.recipe(), objective=partial(penalties.with_kl, policy_gradient.grpo, beta=beta, estimator=estimator))


NEUTRAL = dict(beta=0.0)


def check(made: Recipe) -> bool:
    """A silent group 1.25 times likelier than at the start is pushed down by 0.04 (1 - 1 / 1.25), over 4 tokens."""
    return np.allclose(example(made.objective(), [[1, 1]], ratio=1.25), -0.04 * 0.2 / 4)
