"""A fifth of what a task set changed, the largest changes, carries its skill; the rest only disturbs the others.

Paper: arXiv 2306.01708 (TIES), algorithm 1, step 1; density 0.2
Parent: sft
Differs: after each stage its first weights and the share `density` of its changes that are largest go on. From the paper:
    one task vector is merged at a time, so that there are no signs to elect (`sharpen merge --how ties` does that for several)
"""

from functools import partial

from sharpen import guard
from sharpen.guard import handover
from sharpen.models import merging
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.supervised import sft


def recipe(density: float = 0.2) -> Stages:
    whole = density == 1
    over, merge = (handover.last, None) if whole else (handover.both, partial(merging.sparser, density=density))
    return staging.sequence(Stage("set", sft.recipe(), 1.0, over, guard.always, merge=merge))


NEUTRAL = dict(density=1.0)


def check(made: Stages) -> bool:
    """Of changes 1 to 10 the two largest go on, as they are."""
    import torch

    merge = made.stages[0].merge
    assert merge is not None
    base, last = {"w": torch.zeros(10)}, {"w": torch.arange(1.0, 11.0)}
    return merge([base, last], [0.0, 1.0])["w"].tolist() == [0.0] * 8 + [9.0, 10.0]
