"""Learning the reasons that the student finds once it is shown the answer reaches tasks that it never solves alone.

Paper: arXiv 2203.14465 (STaR), section 3
Parent: rft
Differs: where the answer is wrong a second is asked for with the right one as a hint, and learnt as if given without. From the
    paper: goes on from the present weights instead of starting every round from the base model
"""

from dataclasses import replace

import numpy as np

from sharpen import rollouts
from sharpen.core import Task, Turn
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft


def recipe(hint: bool = True, **knobs) -> Recipe:
    parent = rft.recipe(**knobs)
    return replace(parent, rollout=rollouts.rationalise if hint else parent.rollout)


NEUTRAL = dict(hint=False)


def check(made: Recipe) -> bool:
    """The hint stands in what is asked, never in what is learnt; a held-out task is never hinted at."""
    none = np.zeros(0)
    wrong = Turn("5", none, none, none, "end")
    asked, held_out = (
        made.rollout(Task(({"role": "user", "content": "2+2"},), "4", "f", 1, split)) for split in ("train", "test")
    )
    next(asked), next(held_out)
    hinted = asked.send(wrong)
    learnt = asked.send(replace(wrong, text="2+2=4"))
    try:
        held_out.send(wrong)
    except StopIteration:
        return "4" in str(hinted.messages) and "4" not in str(learnt.messages) and learnt.answer == "2+2=4"
    return False
