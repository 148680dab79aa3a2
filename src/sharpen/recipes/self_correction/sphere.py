"""A pair for every prompt, from errors of one's own, from corrections and from a weaker model, leaves no prompt untaught.

Paper: arXiv 2503.04813 (SPHERE), section 3
Parent: dpo
Differs: of each prompt one pair: right against wrong, else corrected against wrong, else right against a weaker model's. From
    the paper: answers are sampled whole; rollouts.critique.pruned searches steps with the checker; the weaker model is the
    student as it began, unless `--role small=` names one
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Role
from sharpen.data import corrections, pairs
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo
from sharpen.rollouts import critique


def recipe(correct: bool = True, diversify: bool = True, evolving: bool = True) -> Recipe:
    parent = dpo.recipe()
    if not evolving:
        return parent
    select = partial(pairs.staged, correct=correct, diversify=diversify)
    return replace(parent, rollout=critique.reflected, select=select, roles=(Role("small", bound="start"),))


NEUTRAL = dict(evolving=False)


def check(made: Recipe) -> bool:
    """A prompt with a right and a wrong answer gives one pair, the right one first."""
    return corrections.example(made.select, ["3", "4", "5"], "3") == [("", "3"), ("", "4")]
