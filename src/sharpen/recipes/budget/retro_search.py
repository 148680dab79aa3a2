"""Going back through a right answer, and cutting each thought short where that stays right, makes answers shorter and better.

Paper: arXiv 2504.04383 (Retro-Search), by a note with its definitions
Parent: rft
Differs: of each right answer the words that begin another thought are shut out at one cut after the other, and it is brought
    to its end; a shorter right answer takes its place, and is imitated. From the paper: cuts are every so many tokens, and
    the student revises itself
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.played import played, settings
from sharpen.recipes.supervised import rft
from sharpen.rollouts import splicing


def recipe(tries: int = 4, step: int = 12) -> Recipe:
    parent = rft.recipe()
    return replace(parent, rollout=partial(splicing.retraced, tries=tries, step=step)) if tries else parent


NEUTRAL = dict(tries=0)


def check(made: Recipe) -> bool:
    """A shorter right end takes the place, a shorter wrong or a longer right one does not; a wrong answer is left alone."""
    long = "Let me see. I think, and think again. <answer>4</answer>"
    short = played(made.rollout, long, "<answer>4</answer>", long)
    wrong = played(made.rollout, long, "<answer>5</answer>")
    alone = played(made.rollout, "<answer>5</answer> and more and more", "<answer>4</answer>")
    at = settings(made.rollout)["step"]
    return short.response == f"{long[:at]}<answer>4</answer>" and wrong.response == long and alone.spent.calls == 1
