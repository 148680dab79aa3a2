"""An expert's trace, added only while a task succeeds too rarely, gets practice started and then leaves the way free.

Paper: arXiv 2510.08540 (MM-HELIX), adaptive hybrid policy optimisation
Parent: grpo
Differs: plus `weight` times the likelihood of the worked solution, where at most `rare` of the answers are right. From the
    paper: a share instead of a number; the mean over the trace's tokens, not the sum
Status: reproduced on a toy: python -m pytest tests/objectives/test_claims.py -k ahpo (tasks solved 7 times in a million: 98 %
    after 60 steps, the last trace shown in the 22nd; GRPO stays where it was)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, hybrid
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(weight: float = 1.0, rare: float = 0.25, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    if not weight:
        return parent
    beside = partial(hybrid.rescued, gate=rare, instead=False)
    return replace(parent, select=beside, objective=partial(hybrid.ahpo, weight=weight))


NEUTRAL = dict(weight=0.0)


def check(made: Recipe) -> bool:
    """Beside a failing group the trace alone is learnt; beside a mixed one, practice goes on as in GRPO."""
    failing = example(made.objective(), [[0, 0, 1]], forced=[2])
    mixed = example(made.objective(), [[1, 0, 1]], forced=[2])
    alone = not failing[:2].any() and np.allclose(failing[2], 1 / 2)
    return alone and np.allclose(mixed[:2], example(grpo.recipe().objective(), [[1, 0]]))
