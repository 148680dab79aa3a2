"""Filling masked spans of a passage with a search tool, few masks first, teaches to search.

Paper: arXiv 2505.20285 (MaskSearch), abstract and README: retrieval-augmented mask prediction, curriculum of masks
Parent: grpo
Differs: DAPO on passages of a small generated world, one mask at first, then two, three, four; the reward is token F1. From the
    paper: its recall is 1 for who copies the passage, and its judge is not needed here; without the warm-up of many agents
"""

from functools import partial

from sharpen import curriculum
from sharpen.environments import masked
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import dapo, grpo
from sharpen.recipes.within import within


def recipe(masks: str = "1-4", ordered: bool = True, act: bool = True) -> Recipe:
    if not act:
        return grpo.recipe()
    parent = dapo.recipe()
    order = partial(curriculum.ladder, until=0.8, review=0.1) if ordered else parent.curriculum
    return within(parent, "masked", masks, turns=8, curriculum=order)


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """A whole passage recalls both spans and is worth less than a fifth of them."""
    passage = "Ada lives in Bern and owns a drum while Ben of Cork keeps three old clocks in his house by the sea".split()
    return masked.f1(["Bern", "Cork"], ["Bern", "Cork"]) == 1.0 and 0 < masked.f1(passage, ["Bern", "Cork"]) < 0.2
