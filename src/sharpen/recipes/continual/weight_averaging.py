"""The mean of a task set's first weights and its last ones forgets half and keeps most of what was learnt.

Paper: arXiv 2109.01903 (WiSE-FT); task arithmetic with one vector and scale alpha, arXiv 2212.04089
Parent: sft
Differs: after each stage (1 - alpha) * its first weights + alpha * its last ones go on
"""

from functools import partial

from sharpen import guard
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.supervised import sft


def recipe(alpha: float = 0.6) -> Stages:
    over = handover.last if alpha == 1 else partial(handover.between, alpha=alpha)
    return staging.sequence(Stage("set", sft.recipe(), 1.0, over, guard.always))


NEUTRAL = dict(alpha=1.0)


def check(made: Stages) -> bool:
    """Of rounds 3, 4 and 6 the first has 0.4 and the last 0.6."""
    found = made.stages[0].hand_over([{"round": n, "accuracy": 0.0} for n in (3, 4, 6)])
    return abs(found[3] - 0.4) < 1e-9 and found[6] == 0.6
