"""The old student's own distribution on the new data is enough to forget less: no old data are needed.

Paper: arXiv 1606.09282 (learning without forgetting), section 3; temperature 2; alpha 0.5 of mammoth's code
Parent: sft
Differs: alpha times the cross-entropy to the student as the stage began, both at temperature 2, is in the loss. From the
    paper: one output layer for all task sets, so there is no head that is warmed up first; no factor of temperature squared
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example_penalty, policy_gradient, rehearsal
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.supervised import sft


def recipe(alpha: float = 0.5, heat: float = 2.0) -> Recipe:
    objective = partial(rehearsal.distil_old, policy_gradient.sft, alpha=alpha, heat=heat)
    return replace(sft.recipe(), objective=objective) if alpha else sft.recipe()


NEUTRAL = dict(alpha=0.0)


def check(made: Recipe) -> bool:
    """No gradient where the student is the old one; else alpha / heat * (new - old distribution at temperature 2), by a
    logit.
    """
    objective = first_objective(made)
    _, here = example_penalty(objective, [[0.3, 1.0]], [[0.3, 1.0]])
    _, away = example_penalty(objective, [[2 * np.log(3), 0.0]], [[0.0, 0.0]])
    return (
        np.allclose(here, 0, atol=1e-6)
        and np.allclose(away, [[0.0625, -0.0625]], atol=1e-6)
        and made.objective(stage=0).penalty is None
    )
