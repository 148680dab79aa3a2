"""Feedback put into a few answers, and soon into none, leaves a student that checks itself, as practice alone does not.

Paper: arXiv 2508.07616 (ThinkTuning); schedule, shaping and limits as in its release
Parent: grpo
Differs: a teacher's words stand in a share of the answers, 10 % falling to none within a sixth of the budget, and the student
    goes on after them; they are learnt with A p / (p + gamma(A)), unclipped. From the paper's code: gamma moves with A as its
    text says, where the code's clamp holds it at -0.001 (`released`); no dual clip; the teacher is the student as it began
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import rollouts
from sharpen.core import Role
from sharpen.objectives import example, hybrid
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(start: float = 0.1, off: float = 0.06, released: bool = False, advised: bool = True, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    if not advised:
        return parent
    rollout = partial(rollouts.hints.advised, start=start, off=off)
    objective = partial(hybrid.thinking, released=released)
    return replace(parent, rollout=rollout, objective=objective, roles=(Role("teacher", bound="start"),))


NEUTRAL = dict(advised=False)


def check(made: Recipe) -> bool:
    """Of 50 steps the first eight have feedback; a rare word of a good answer weighs more than a usual one; own words are
    GRPO's."""
    share = partial(rollouts.hints.share_at, start=0.1, end=0.01, over=0.32, off=0.06)
    helped = [share(step / 50) > 0 for step in range(50)]
    rare, usual = (example(made.objective(), [[0, 0, 1]], ratio=np.e * p, forced=[2])[2, 0] for p in (0.004, 0.9))
    own = np.allclose(example(made.objective(), [[1, 0]]), example(grpo.recipe().objective(), [[1, 0]]))
    return sum(helped) == 8 and helped[7] and own and rare > 1.02 * usual > 0
