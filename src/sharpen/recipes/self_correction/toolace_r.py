"""Refining until nothing changes works once leaving a right answer alone is learnt as often as mending a wrong one.

Paper: arXiv 2504.01400 (ToolACE-R), sections 3 and 4
Parent: rft
Differs: wrong answers followed by the right one, and right answers followed by themselves, one to one, beside right answers of
    prompts that are not solved every time; asked until the answer repeats itself. From the paper: tasks are the recipe's, such
    as calls of tools; its measure of difficulty and its mixture were not found in its text, and are ours
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.data import corrections
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft
from sharpen.rollouts import feedback


def recipe(same: float = 1.0, attempts: int = 3, refining: bool = True) -> Recipe:
    parent = rft.recipe()
    if not refining:
        return parent
    again = partial(feedback.unary, words=corrections.REVISE)
    asked = partial(rollouts.retry, feedback=again, attempts=attempts, until_same=True)
    return replace(parent, rollout=asked, select=partial(corrections.refinements, same=same))


NEUTRAL = dict(refining=False)


def check(made: Recipe) -> bool:
    """A wrong answer is read and the right one learnt; a right one is followed by itself."""
    found = corrections.example(made.select, ["3", "4"], "3")
    asked = f"[{corrections.REVISE}]"
    return found == [("", "3"), (f"[4]{asked}", "3"), (f"[3]{asked}", "3")]
