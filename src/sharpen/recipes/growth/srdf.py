"""Questions on which a writer and a solver agree are right more often than what the writer writes, and more so each round.

Paper: arXiv 2412.08467 (SRDF), section 3
Parent: quickstart
Differs: after each round the writer makes questions like the failed ones, of which those are kept whose answer a solver
    finds in three of four tries; both are the student unless `grow.writer` and `grow.solver` name roles. From the paper:
    text and its answer instead of a path and its description, and agreement on the answer instead of nDTW of at least 0.9
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.core import Turn
from sharpen.data import refining
from sharpen.recipe import Recipe
from sharpen.recipes import teaching
from sharpen.recipes.loop import quickstart


def recipe(each: int = 16, least: float = 0.75, **knobs) -> Recipe:
    parent = quickstart.recipe(**knobs)
    return replace(parent, grow=partial(refining.mutual, each=each, least=least)) if each else parent


NEUTRAL = dict(each=0)


def check(made: Recipe) -> bool:
    """Of two written questions that is kept whose answer the solver finds; prose is dropped."""

    def turn(text: str) -> Turn:
        return Turn(text, np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, np.float32), "end")

    grower = made.grow([teaching.toy(i, 0, 0.0) for i in range(3)], (), np.random.default_rng(0))
    written = next(grower)
    texts = ["QUESTION: 1 + 1\nANSWER: 2", "QUESTION: 1 + 2\nANSWER: 4", "I would rather not."]
    asked = grower.send([turn(text) for text in texts[: len(written)]])
    said = {"1 + 1": "<answer>2</answer>", "1 + 2": "<answer>3</answer>"}
    try:
        grower.send([turn(said[ask.messages[0]["content"]]) for ask in asked])
    except StopIteration as end:
        return [task.answer for task in end.value] == ["2"] and len(asked) == 8
    return False
