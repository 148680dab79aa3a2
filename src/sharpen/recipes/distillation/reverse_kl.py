"""A student too small to follow its teacher everywhere does better to follow it well where it goes itself.

Paper: arXiv 2306.08543 (MiniLLM), equation 1, and arXiv 2306.13649 (GKD) with beta 1 and lambda 1
Parent: forward_kl
Differs: KL(student || teacher); from MiniLLM: token by token, without the policy gradient through later tokens
Status: reproduced on a toy: python -m pytest tests/objectives/test_distillation.py -k too_small (a student with one bump and a
    teacher with two: 95 % of its answers are near one of them, by forward KL 8 %)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import distillation, example_penalty
from sharpen.recipe import Recipe
from sharpen.recipes.distillation import forward_kl


def recipe(reverse: bool = True) -> Recipe:
    return replace(forward_kl.recipe(), objective=partial(distillation.distil, beta=1.0 if reverse else 0.0))


NEUTRAL = dict(reverse=False)


def check(made: Recipe) -> bool:
    """By hand, of a student (3/4, 1/4) and a teacher who tosses a coin: 3/4 log 3/2 + 1/4 log 1/2."""
    loss, gradient = example_penalty(made.objective(), [[np.log(3), 0.0]], [[0.0, 0.0]])
    return np.allclose(loss, 0.75 * np.log(1.5) + 0.25 * np.log(0.5)) and bool(gradient[0, 0] > 0 > gradient[0, 1])
