"""Questions that are too hard, stand alone or are unclear are worth more told anew than left as they are.

Paper: arXiv 2508.21589 (Middo), section 3
Parent: quickstart
Differs: after each round the failed questions that one of three signals flags are told anew by the writer, the student
    unless `grow.writer` names a role. From the paper: complexity is how often a question failed in the round instead of the
    loss before and after training, and a new question stands beside the old one, which a curriculum may leave, instead of
    replacing it
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.core import Turn
from sharpen.data import refining
from sharpen.recipe import Recipe
from sharpen.recipes import teaching
from sharpen.recipes.loop import quickstart


def recipe(each: int = 16, **knobs) -> Recipe:
    parent = quickstart.recipe(**knobs)
    return replace(parent, grow=partial(refining.middo, each=each)) if each else parent


NEUTRAL = dict(each=0)


def check(made: Recipe) -> bool:
    """Each planted defect is flagged by its own signal: one failed often, one has no neighbour, one is rated low."""
    failed = [teaching.toy(i, j, 0.0) for i in range(12) for j in range(9 if i == 0 else 2)]
    rows = np.eye(12) * 0.1 + 1.0
    rows[1] = -rows[1]
    grower = made.grow(failed, (), np.random.default_rng(0), source=None, embed=lambda listed: rows[: len(listed)])

    def turn(text: str) -> Turn:
        return Turn(text, np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, np.float32), "end")

    rated = next(grower)
    try:
        asked = grower.send([turn("1" if i == 2 else "8") for i in range(len(rated))])
        grower.send([turn("QUESTION: more?\nANSWER: 1")] * len(asked))
    except StopIteration as end:
        return [(t.operator.partition(":")[0], t.parents[0]) for t in end.value] == [
            (name, failed[j].rollout.task.id) for name, j in (("complexity", 0), ("diversity", 9), ("quality", 11))
        ]
    return False
