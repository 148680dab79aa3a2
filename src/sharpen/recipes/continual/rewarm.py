"""A learning rate that rises again for each new task set learns it better, and forgets more, than one that stays low.

Paper: arXiv 2308.04014 (how to re-warm your model), sections 3 and 4; linear warm-up, decay to a tenth
Parent: sft
Differs: in each stage the rate falls to `end` of its height; that of later stages is `again` times the first one's. again =
    end is no re-warming. From the paper: it falls in a straight line, not a cosine
"""

from dataclasses import replace

from sharpen import guard
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.supervised import sft


def recipe(again: float = 1.0, end: float = 0.1) -> Stages:
    first = replace(sft.recipe(), lr_end=end)
    later = replace(first, lr=first.lr * again, lr_end=min(end / again, 1.0))
    stages = [Stage("first", first, 1.0, handover.last, guard.always)]
    return staging.sequence(*stages, *([Stage("later", later, 1.0, handover.last, guard.always)] if end != 1 else []))


NEUTRAL = dict(end=1.0)


def check(made: Stages) -> bool:
    """Both end at a tenth of the first rate, whatever the second's height."""
    return all(abs(s.recipe.lr * s.recipe.lr_end - 0.1 * made.stages[0].recipe.lr) < 1e-12 for s in made.stages)
