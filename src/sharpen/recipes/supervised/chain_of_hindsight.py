"""A model that is told which of its answers were good learns from the bad ones too, and gives a good one when asked for it.

Paper: arXiv 2302.02676 (Chain of Hindsight), section 2
Parent: rft
Differs: right and wrong answers are learnt, each after its mark, and right ones after a wrong one; tasks are asked with the
    good mark. From the paper: own answers; wrong ones weigh a fifth; no pre-training batch, no dropped attention, one wording
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.data import relabel
from sharpen.recipe import Recipe, describe
from sharpen.recipes.supervised import rft


def recipe(marks: bool = True, chains: bool = True, wrong: float = 0.2) -> Recipe:
    parent = rft.recipe()
    if not marks:
        return parent
    asked = partial(rollouts.single, system=relabel.GOOD)
    return replace(parent, rollout=asked, select=partial(relabel.hindsight, wrong=wrong, chains=chains))


NEUTRAL = dict(marks=False)


def check(made: Recipe) -> bool:
    """What is asked at test time is the mark that right answers are learnt with."""
    asked, learnt = describe(made.rollout), describe(made.select)
    return asked == f"single(system={relabel.GOOD!r})" and learnt == "hindsight(wrong=0.2, chains=True)"
