"""Fast weights that learn each task set, and slow ones that follow them by a part, keep more than either alone.

Paper: arXiv 2104.09034 (few-shot continual learning, a brain-inspired approach), abstract: two-step consolidation
Parent: ewc
Differs: what goes on to the next stage is (1 - rate) * the weights with which the stage began + rate * those it ended with.
    From the paper: the rules are ours, for the abstract gives none; the slow weights are what answers
"""

from functools import partial

from sharpen import guard
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.continual import ewc


def recipe(rate: float = 0.5, strength: float = 100.0, samples: int = 128) -> Stages:
    over = handover.last if rate == 1 else partial(handover.between, alpha=rate)
    return staging.sequence(Stage("set", ewc.recipe(strength, samples), 1.0, over, guard.always))


NEUTRAL = dict(rate=1.0)


def check(made: Stages) -> bool:
    """Half of the first weights and half of the last go on."""
    rounds = [{"round": n, "accuracy": 0.0} for n in (3, 4, 6)]
    return made.stages[0].hand_over(rounds) == {3: 0.5, 6: 0.5}
