"""Wrong steps with their correction in the midst of a solution teach to correct unasked, if the wrong steps are not learnt.

Paper: arXiv 2409.01524 (S3c-Math), section 3
Parent: sft
Differs: the student's own wrong answers, cut after the first wrong step, go on with a phrase and the worked solution's right
    step; beside them right answers and worked solutions. From the paper: no stronger model writes the reflection; whether its
    loss leaves the wrong step out is not said there, and `mask` is both
"""

from dataclasses import replace
from functools import partial

from sharpen.data import corrections
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft


def recipe(spontaneous: bool = True, mask: bool = True, phrase: str = "no,") -> Recipe:
    parent = sft.recipe()
    if not spontaneous:
        return parent
    own = grpo.recipe()
    select = partial(corrections.spliced, phrase=phrase, mask=mask, own=False)
    return replace(parent, rollout=own.rollout, prompts=own.prompts, samples=own.samples, select=select)


NEUTRAL = dict(spontaneous=False)


def check(made: Recipe) -> bool:
    """The wrong step has no loss, and what follows it has."""
    found = corrections.example(made.select, ["2 4 7<answer>7</answer>"], "6", "2 3 6<answer>6</answer>")
    return found[-1] == ("2 4", " no, 3 6<answer>6</answer>")
