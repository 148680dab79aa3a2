"""Errors that the student really makes, mended in two ways, are worth more than as many right answers.

Paper: arXiv 2503.17439 (LEMMA), section 3
Parent: rft
Differs: wrong answers are cut after their first error and go on, in turn, with the step mended ("fix") or from the start
    ("restart"), all of it learnt, beside right answers. From the paper: errors are the student's alone, so their types are as
    often as it makes them; a checker marks the step and no teacher smooths the join
"""

from dataclasses import replace
from functools import partial

from sharpen.data import corrections
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(mended: bool = True, mask: bool = False, phrase: str = corrections.PHRASE, at: str = "error") -> Recipe:
    parent = rft.recipe()
    if not mended:
        return parent
    return replace(parent, select=partial(corrections.spliced, ways=corrections.WAYS, mask=mask, phrase=phrase, at=at))


NEUTRAL = dict(mended=False)


def check(made: Recipe) -> bool:
    """Two errors of one task are mended in the two ways, and the whole text is learnt."""
    said = ["2 3 6<answer>6</answer>", "2 4 7<answer>7</answer>", "2 3 5<answer>5</answer>"]
    _, fixed, restarted = corrections.example(made.select, said, "6")
    phrase = " Wait, that is wrong. "
    return fixed == ("", f"2 4{phrase}3 6<answer>6</answer>") and restarted == ("", f"2 3 5{phrase}2 3 6<answer>6</answer>")
