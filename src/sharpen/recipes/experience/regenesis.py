"""Reasoning made concrete from general advice, and learnt without the advice, carries over to tasks of other kinds.

Paper: arXiv 2410.02108 (ReGenesis), sections 2 and 3
Parent: rft
Differs: a training answer is made in four steps, advice chosen, adapted, made a structure and followed, a second time with
    the answer told where it was wrong; what is learnt is the answer after the bare question. From the paper: one guideline
    a rollout, of eight of our own, instead of 45 starts of 25; at most as many paths a question as `samples`; no yes or no
    by the model
"""

from dataclasses import replace
from functools import partial
from typing import Any

from sharpen import rollouts
from sharpen.core import Task, Turn
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import rft
from sharpen.rollouts import stages


def recipe(hint: bool = True, guidelines: bool = True) -> Recipe:
    parent = rft.recipe()
    return replace(parent, rollout=partial(rollouts.advised, hint=hint)) if guidelines else parent


NEUTRAL = dict(guidelines=False)


def check(made: Recipe) -> bool:
    """Neither advice nor structure nor the told answer is in what is learnt; a wrong answer is tried again with it told."""
    import numpy as np

    def turn(text: str) -> Turn:
        return Turn(text, np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, np.float32), "end")

    task = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1, verifier="number")
    asking: Any = made.rollout(task)
    next(asking)
    adapt = asking.send(turn("3"))
    said = [asking.send(turn(text)) for text in ("adapted", "1. add", "<answer>5</answer>", "again", "1. add")]
    last = asking.send(turn("<answer>4</answer>"))
    hinted = "the answer is 4" in str(said[2].messages).lower() and stages.GUIDELINES[2] in str(adapt.messages)
    return hinted and last.messages == task.prompt and last.answer == "<answer>4</answer>"
