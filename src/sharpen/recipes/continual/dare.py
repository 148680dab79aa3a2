"""Nine tenths of what a set changed can go at random if the rest is made larger, and earlier skills are disturbed less.

Paper: arXiv 2311.03099 (DARE), section 3; density 0.1 is a drop rate of 0.9
Parent: sft
Differs: after each stage its first weights and a random `density` of its changes, divided by it, go on. From the paper:
    one task vector is merged at a time (`sharpen merge --how dare` takes several)
"""

from functools import partial

from sharpen import guard
from sharpen.guard import handover
from sharpen.models import merging
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.supervised import sft


def recipe(density: float = 0.1) -> Stages:
    whole = density == 1
    over, merge = (handover.last, None) if whole else (handover.both, partial(merging.thinned, density=density))
    return staging.sequence(Stage("set", sft.recipe(), 1.0, over, guard.always, merge=merge))


NEUTRAL = dict(density=1.0)


def check(made: Stages) -> bool:
    """Of a thousand changes of 1 a tenth stays, of 10 each, so that their sum is about what it was."""
    import torch

    merge = made.stages[0].merge
    assert merge is not None
    found = merge([{"w": torch.zeros(1000)}, {"w": torch.ones(1000)}], [0.0, 1.0])["w"]
    return set(found.tolist()) == {0.0, 10.0} and abs(float(found.mean()) - 1) < 0.3
