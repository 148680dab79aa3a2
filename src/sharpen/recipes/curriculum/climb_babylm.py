"""A small model that reads common words first, and few of them, learns the language it is given as a child does.

Paper: CLIMB (BabyLM challenge 2023), its code and configuration: data and vocabulary curricula, linear pacing from 0.1
Parent: sft
Differs: the easiest share of the tasks, by how common the words of the question are, is open, and of each solution the words
    that are rare so far are hidden from the input; both shares grow from `begin` to all. From the paper: solutions are
    continued instead of filled in, so there is no objective curriculum over parts of speech; frequencies are counted over
    what was read, not read off the tokenizer; no perplexity of the model's own
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sharpen import curriculum, data
from sharpen.core import Sample
from sharpen.curriculum import orders
from sharpen.data import vocabulary
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import sft


def opened(samples: Sequence[Sample], begin: float, *, progress: float, notes: dict, mask_token: int) -> list[Sample]:
    """Right solutions, in which the words beyond the share that is open cannot be read."""
    share = orders.pace(progress, begin)
    return vocabulary.hidden_rare(data.keep_correct(samples), share, notes=notes, mask_token=mask_token)


def recipe(begin: float = 0.1, words: bool = True, pool: int = 100) -> Recipe:
    parent = sft.recipe()
    if begin >= 1:
        return replace(parent, pool=pool)
    read = partial(opened, begin=begin) if words else parent.select
    return replace(parent, curriculum=partial(curriculum.paced, begin=begin), select=read, pool=pool)


NEUTRAL = dict(begin=1.0, pool=1000)


def check(made: Recipe) -> bool:
    """Nothing but a tenth up to a sixteenth of the run, all from seven eighths on, and half of the rest midway."""
    at = [orders.pace(t, 0.1) for t in (0.0, 1 / 16, 15 / 32, 7 / 8, 1.0)]
    late = orders.pace(1 / 16 + 0.01 * 13 / 16, 0.1, logarithmic=True)
    return [round(a, 6) for a in at] == [0.1, 0.1, 0.55, 1.0, 1.0] and 0.58 < late < 0.6 and bool(made.select)
