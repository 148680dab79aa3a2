"""Hints at a tool, put into answers that had none, find uses of it; imitated without the hint, they become the student's own.

Paper: arXiv 2503.04625 (START), hint-infer and Hint-RFT, by a note; scoring rules unread
Parent: rft
Differs: at its end each answer gets a hint that opens a program, which is run; of the answers those are imitated that are
    right now and were wrong before, the hint without loss. From the paper: one hint, at the end, in place of a library at
    transition words. "Wrong before, right after" selects luck too: compare with `hints=0`
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import verify
from sharpen.core import Turn
from sharpen.data import lengths
from sharpen.recipe import Recipe
from sharpen.recipes.played import answers
from sharpen.recipes.supervised import rft
from sharpen.rollouts import splicing


def recipe(hints: int = 1, calls: int = 4) -> Recipe:
    parent = rft.recipe()
    hinted = partial(splicing.hinted, hints=hints, calls=calls)
    judged = partial(verify.each_turn, shape=list)
    return replace(parent, rollout=hinted, verify=judged, select=lengths.helped) if hints else parent


NEUTRAL = dict(hints=0)


def check(made: Recipe) -> bool:
    """Kept is what the hint turned from wrong to right; the hint is asked for with the program open, as context."""
    one, two, three = answers(("4", 1.0), ("4", 1.0), ("5", 0.0))
    credited = [
        replace(s, verdict=replace(s.verdict, credit=c)) for s, c in ((one, (0.0, 1.0)), (two, (1.0, 1.0)), (three, (0.0, 0.0)))
    ]
    kept = made.select(credited)
    asking, nothing = made.rollout(one.rollout.task), np.zeros(0)
    next(asking)
    hint = asking.send(Turn("5", nothing.astype(np.int32), nothing > 0, nothing, "end"))
    return kept == credited[:1] and hint.insert.endswith("<python>") and hint.stop == ("</python>",)
