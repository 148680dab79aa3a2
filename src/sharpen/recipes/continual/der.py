"""Old logits on old answers hold more of what was known than the answers alone.

Paper: arXiv 2004.07211 (DER++), equation 6; alpha 0.5, beta 0.5 as in mammoth's code
Parent: replay
Differs: replayed rows are also drawn to the logits that the student had when the stage began, by mean squares. From the paper:
    those logits, not the ones of the moment when each was stored, so that nothing but words is stored
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example_penalty, policy_gradient, rehearsal
from sharpen.recipe import Recipe, first_objective
from sharpen.recipes.continual import replay


def recipe(alpha: float = 0.5, beta: float = 0.5, share: float = 0.5, size: int = 512) -> Recipe:
    parent = replay.recipe(share=share, size=size)
    objective = partial(rehearsal.remember, policy_gradient.sft, alpha=alpha, beta=beta)
    return replace(parent, objective=objective) if alpha else parent


NEUTRAL = dict(alpha=0.0)


def check(made: Recipe) -> bool:
    """Logits apart by (1, -1) cost alpha times their mean square, 1; a shift of all costs nothing, nor does the first stage."""
    values, _ = example_penalty(first_objective(made), [[1.0, -1.0], [5.0, 5.0]], [[0.0, 0.0], [1.0, 1.0]])
    return np.allclose(values, [0.5, 0.0]) and made.objective(stage=0).penalty is None
