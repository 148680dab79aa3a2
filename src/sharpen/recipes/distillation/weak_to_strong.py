"""A student surer than its weak teacher should partly believe itself: it then recovers more of its own ability.

Paper: arXiv 2312.09390 (weak-to-strong generalisation), appendix A.4; confidence 0.5, reached after a tenth of the budget
Parent: forward_kl
Differs: part of the loss is the cross-entropy to the student's own first choice; from the paper: labels are next-token
    distributions on own answers, so a first choice is the likeliest token, not the side of a balanced threshold
Status: reproduced on a toy: python -m pytest tests/objectives/test_distillation.py -k confidence_survives (a teacher that is
    wrong on half of the inputs, a student that knows better: of the gap, nothing recovered without confidence, all at
    confidence a half)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import distillation, example_penalty
from sharpen.recipe import Recipe
from sharpen.recipes.distillation import forward_kl


def recipe(confidence: float = 0.5, warmup: float = 0.1) -> Recipe:
    parent = forward_kl.recipe()
    believing = partial(distillation.weak_to_strong, confidence=confidence, warmup=warmup)
    return replace(parent, objective=believing if confidence else parent.objective)


NEUTRAL = dict(confidence=0.0)


def check(made: Recipe) -> bool:
    """At half confidence the gradient is half of KL's, and half towards the student's own first choice."""
    student, weak = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.6, 0.2])
    _, gradient = example_penalty(made.objective(progress=1.0), [np.log(student)], [np.log(weak)])
    return np.allclose(gradient, student - 0.5 * weak - [0.5, 0, 0])
