"""Tasks of every kind in easy and hard portions, taken in turn, are remembered better than kinds in blocks or in no order.

Paper: arXiv 2408.07888 (human-inspired learning strategies in medical question answering): interleaved curriculum; its other
    orders are orders.blocked, blocked_ascending, interleaved, ascending, and shuffled, the control
Parent: uniform
Differs: the difficulty is the level, or a number that came with each task (`--set curriculum.score=by_field`), which another
    model's or a person's answers may have given; kinds are families, not clusters. From the paper: practice of the parent's
    objective instead of imitation, and no bins at 0.66 and 0.80
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import orders
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform
from sharpen.recipes.played import settings


def recipe(window: float = 0.1, by_difficulty: bool = True) -> Recipe:
    parent = uniform.recipe()
    order = orders.interleaved_ascending if by_difficulty else orders.interleaved
    return replace(parent, curriculum=partial(curriculum.in_turn, order=order, window=window)) if window < 1 else parent


NEUTRAL = dict(window=1.0)


def check(made: Recipe) -> bool:
    """Every order holds every task once; three kinds of nine tasks come in runs of three, each kind's easiest first."""
    kinds, luck = np.repeat([0, 1, 2], 9), np.random.default_rng(0).random(27)
    scores = np.tile(np.arange(9.0), 3)
    every = (orders.shuffled, orders.ascending, orders.descending, orders.blocked, orders.blocked_ascending, orders.interleaved)
    whole = all(sorted(order(scores, kinds, luck)) == list(range(27)) for order in every)
    places = settings(made.curriculum)["order"](scores, kinds, luck)
    return (
        whole
        and kinds[places].tolist() == [0] * 3 + [1] * 3 + [2] * 3 + kinds[places[:9]].tolist() * 2
        and bool((scores[places[:9]] < 3).all())
    )
