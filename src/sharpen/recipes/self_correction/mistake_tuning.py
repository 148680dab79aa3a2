"""Wrong answers marked as wrong teach, where unmarked they would be learnt.

Paper: arXiv 2403.20046 (mistake tuning), section 3
Parent: rft
Differs: right and wrong answers, each after its mark, with the loss on all tokens, the question's too; tasks are asked with the
    right mark. From the paper: wrong answers are the student's own, not a larger model's; self-rethinking is rollouts.rethink
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.data import corrections
from sharpen.recipe import Recipe, describe
from sharpen.recipes.supervised import rft

RIGHT, WRONG = "[CORRECT RATIONALE]", "[INCORRECT RATIONALE]"


def recipe(marks: bool = True, whole: bool = True, both: bool = True) -> Recipe:
    parent = rft.recipe()
    if not marks:
        return parent
    select = partial(corrections.marked, right=RIGHT, wrong=WRONG, whole=whole, both=both)
    return replace(parent, rollout=partial(rollouts.single, system=RIGHT), select=select)


NEUTRAL = dict(marks=False)


def check(made: Recipe) -> bool:
    """Both kinds are learnt to the first word, and what is asked is the right mark."""
    found = corrections.example(made.select, ["3", "4"], "3")
    return [len(learnt) > 1 for _, learnt in found] == [True, True] and RIGHT in describe(made.rollout)
