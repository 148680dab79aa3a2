"""Away from what training on own samples does to a student is where it should go: it gets better without new data.

Paper: arXiv 2510.03597 (Neon), equation 4 and theorem 1
Parent: rft
Differs: a stage learns from the student's own answers, right or wrong, and (1 + weight) * its first weights - weight * its
    last ones go on. From the paper: answers to questions instead of images; temperature below 1 is the mode-seeking sampler
    that it needs
"""

from dataclasses import replace
from functools import partial

from sharpen import data, guard
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.supervised import rft


def recipe(weight: float = 0.5, temperature: float = 0.7) -> Stages:
    own = replace(rft.recipe(), select=data.keep_all, temperature=temperature)
    made, over = (own, partial(handover.away, weight=weight)) if weight != -1 else (rft.recipe(), handover.last)
    return staging.sequence(Stage("set", made, 1.0, over, guard.always))


NEUTRAL = dict(weight=-1.0)


def check(made: Stages) -> bool:
    """Half as far again as the way back: 1.5 of the first weights less 0.5 of the last."""
    return made.stages[0].hand_over([{"round": n, "accuracy": 0.0} for n in (3, 4, 6)]) == {3: 1.5, 6: -0.5}
