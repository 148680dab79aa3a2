"""Answers that stop where they begin to repeat themselves, imitated, make a student stop by itself.

Paper: arXiv 2505.14604 (self-braking tuning), SBT-D, and its release: thresholds 0.2 and 0.25
Parent: rft
Differs: of the student's own right answers those that overthink are cut there; a few more steps are read and not learnt, then
    come words that stop, and the answer. From the paper: the student's own answers in place of a larger model's, steps are
    sentences
"""

from dataclasses import replace
from functools import partial
from math import isclose

from sharpen.data import lengths
from sharpen.recipe import Recipe
from sharpen.recipes.played import settings
from sharpen.recipes.supervised import rft


def recipe(threshold: float = 0.2, more: float = 0.05, brake: bool = True) -> Recipe:
    parent = rft.recipe()
    return replace(parent, select=partial(lengths.braked, threshold=threshold, more=more)) if brake else parent


NEUTRAL = dict(brake=False)


def check(made: Recipe) -> bool:
    """Right in the first of two steps: 0.9 / 2, and a tenth of the share of markers; then the second step is cut."""
    steps = ["It is 4.", " Wait, let me see."]
    score = lengths.overthinking(steps, "4")
    kept, redundant = lengths.braking("".join(steps), "4", settings(made.select)["threshold"], settings(made.select)["more"])
    short = lengths.braking("So. It is 4.", "4", settings(made.select)["threshold"], 0.05)
    return isclose(score, 0.9 / 2 + 0.1 / 7) and (kept, redundant) == (steps[0], steps[1]) and short == ("", "")
