"""From the most central skill outwards, unlike ones next to each other: an order of skills made from how alike they are.

Paper: arXiv 2211.15470 (Learning to Learn: How to Continuously Teach Humans and Machines), Curriculum Designer; its release
Parent: grpo
Differs: classes are arms, prototypes means of the student's own hidden states on a few questions, and each arm has its turn.
    From the paper: no online class-incremental learner; the dispersion is the mean distance to all others, whose statistic was
    not found, and `review` of the prompts goes to every arm
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import similarity
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(questions: int = 8, review: float = 0.1, pool: int = 100, **knobs) -> Recipe:
    parent = replace(grpo.recipe(**knobs), pool=pool)
    order = partial(curriculum.designer, questions=questions, review=review)
    return replace(parent, curriculum=order) if review < 1 else parent


NEUTRAL = dict(review=1.0, pool=1000)


def check(made: Recipe) -> bool:
    """By hand, four classes at 0, 1, 2 and 10: 1 is central; 0 is nearest and last, 10 farthest and next, then 2. That order is
    promised more than from one end to the other."""
    at = np.array([0.0, 1.0, 2.0, 10.0])
    distance = np.abs(at[:, None] - at) / 10
    order = similarity.designed(distance)
    better = similarity.promise(order, distance) > similarity.promise([0, 1, 2, 3], distance)
    return order == [1, 3, 2, 0] and better and getattr(made.curriculum, "func", None) is curriculum.designer
