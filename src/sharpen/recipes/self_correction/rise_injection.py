"""Pairs that differ in one small error teach a model what not to do, more than pairs of whole answers.

Paper: arXiv 2410.06638 (RISE, error-injected self-editing), section 3; beta 0.4 as in its release
Parent: dpo
Differs: of each solved prompt a step of a right answer against the same step with an error put in, after the steps before it,
    beside one sampled pair. From the paper: seven edits are made by rule instead of by the model; the likelihood of the right
    answer is added with weight `nll`, which the paper has and the release leaves out
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import errors
from sharpen.objectives import preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(beta: float = 0.4, nll: float = 0.05, injected: bool = True) -> Recipe:
    parent = dpo.recipe()
    if not injected:
        return parent
    return replace(parent, select=errors.error_pairs, objective=partial(preferences.dpo, beta=beta, nll=nll))


NEUTRAL = dict(injected=False)


def check(made: Recipe) -> bool:
    """Each kind of error spoils a working, and only where it says: the steps before it stay."""
    kinds = made.select.keywords["kinds"] if hasattr(made.select, "keywords") else errors.KINDS
    text, rng = "12+3=15 15-4=11 11*2=22<answer>22</answer>", np.random.default_rng(0)
    found = [errors.inject(text, kind, rng) for kind in kinds]
    before = [text.split()[: one.step] == one.text.split()[: one.step] for one in found if one]
    return len(before) == 7 and all(before) and all(one and one.text != text for one in found)
