"""Answers that tell which principle they were written under teach a model to follow principles, without preferences.

Paper: arXiv 2404.14313 (SAMI), sections 2 and 3: mutual information by InfoNCE in both directions
Parent: rft
Differs: each prompt is answered once under each principle, and every answer is told again under each; the loss raises those
    under their own. From the paper: two short principles, of brevity and its opposite, or one's own (`rollout.principles` and
    `select.principles`), instead of constitutions that a model wrote; per token, no regularised start from the instruction
    model
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import rollouts
from sharpen.data import principles
from sharpen.objectives import contrast, example
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(per_token: bool = True, principled: bool = True) -> Recipe:
    parent = rft.recipe()
    if not principled:
        return parent
    asked = partial(rollouts.under_each, principles=principles.BRIEF)
    objective = partial(contrast.mutual, per_token=per_token)
    return replace(parent, rollout=asked, select=principles.crossed, objective=objective, samples=2)


NEUTRAL = dict(principled=False)


def check(made: Recipe) -> bool:
    """At a matrix of equal entries each answer is pulled to its own principle by 1/4 and from the other by 1/4, of a loss of
    log 2; a group that is no matrix has no gradient."""
    c = example(made.objective(), [[0, 1, 2, 3]], lengths=[1] * 4)[:, 0]
    return bool(np.allclose(c, [0.25, -0.25, -0.25, 0.25])) and not example(made.objective(), [[0, 1, 2]]).any()
