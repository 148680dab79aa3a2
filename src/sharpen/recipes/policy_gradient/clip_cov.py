"""A few tokens lose most of the entropy: taking just their gradient away keeps a policy exploring.

Paper: arXiv 2505.22617 (The Entropy Mechanism), section 4.2, Clip-Cov
Parent: grpo
Differs: the tokens with the largest covariance of advantage and log-probability have no gradient. From the paper: the
    largest of each group, a fiftieth, where the paper draws 2 in 10,000 at random from a band
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k clip_cov (a table of logits at two rates:
    entropy at 90 % success 0.96 and 0.87, by GRPO 0.78 and 0.77; it takes 41 and 11 steps, GRPO 32 and 8)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import entropy, example
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(share: float = 0.02, **knobs) -> Recipe:
    return replace(grpo.recipe(**knobs), objective=partial(entropy.clip_cov, share=share))


NEUTRAL = dict(share=0.0)


def check(made: Recipe) -> bool:
    """Where every token is equally likely no update sharpens anything, and it is GRPO."""
    rewards, lengths = [[1, 0, 0]], [40, 40, 40]
    return made.objective().together and np.allclose(
        example(made.objective(), rewards, lengths), example(grpo.recipe().objective(), rewards, lengths)
    )
