"""Cut off where it went wrong and continued as a neighbour went on, a bad attempt teaches to turn back at once.

Paper: arXiv 2501.11425 (Agent-R), section 3; loss and phrase as in its release
Parent: rft
Differs: right answers, and of wrong ones what stands up to their first error, read only, then a phrase of reflection and the
    rest of a right answer of the group, learnt. From the paper: siblings of a group instead of a tree's leaves; a checker says
    which step is wrong, not the actor; the worked solution stands in where no sibling is right
"""

from dataclasses import replace
from functools import partial

from sharpen.data import corrections
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(splice: bool = True, phrase: str = corrections.PHRASE, at: str = "error") -> Recipe:
    parent = rft.recipe()
    return replace(parent, select=partial(corrections.spliced, phrase=phrase, at=at)) if splice else parent


NEUTRAL = dict(splice=False)


def check(made: Recipe) -> bool:
    """By hand: of 2 4 7, where 2 3 6 is right, 2 4 is read, and the phrase and 3 6 are learnt."""
    right, spliced = corrections.example(made.select, ["2 3 6<answer>6</answer>", "2 4 7<answer>7</answer>"], "6")
    return right[0] == "" and spliced == ("2 4", " Wait, that is wrong. 3 6<answer>6</answer>")
