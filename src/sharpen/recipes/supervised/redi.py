"""Lowering wrong answers at a fraction of the rate at which right ones are raised adds what imitation alone misses.

Paper: arXiv 2505.24850 (REDI), stage 2
Parent: rft
Differs: one right and one wrong answer of each prompt, the wrong one at -alpha, each divided by its length. From the paper: the
    student's own answers, not a teacher's
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k own_answers (a table of logits at two rates:
    99.5 and 100 % right from 4, with the right ones of the same pairs alone 87 and 98)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import data
from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(alpha: float = 0.8, per_token: bool = False) -> Recipe:
    parent = rft.recipe()
    return replace(
        parent,
        select=data.one_pair if alpha else parent.select,
        objective=partial(policy_gradient.redi, alpha=alpha, per_token=per_token),
    )


NEUTRAL = dict(alpha=0.0, per_token=True)


def check(made: Recipe) -> bool:
    """By hand, on lengths 2 and 4: 1/4 a token up, -0.8/8 a token down."""
    c = example(made.objective(), [[1, 0]], lengths=[2, 4])[:, 0]
    return np.allclose(c, [1 / 4, -0.8 / 8])
