"""Practising old right answers beside new ones keeps most of what a stream taught, at half the pace on the new.

Paper: arXiv 1902.10486 (tiny episodic memories, ER), section 4; a batch of present and of replayed examples, half each
Parent: sft
Differs: half of each batch is right answers of earlier stages, each as likely, out of a memory of `size`; their mean has a
    loss of its own. From the paper: the memory is a choice by hash of all earlier right answers, which is what a reservoir
    leaves
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import rehearsal
from sharpen.objectives import example, policy_gradient
from sharpen.objectives import rehearsal as practised
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import sft


def recipe(share: float = 0.5, size: int = 512) -> Recipe:
    if not share:
        return sft.recipe()
    select = partial(rehearsal.recalled, share=share, size=size)
    return replace(sft.recipe(), select=select, objective=partial(practised.rehearse, policy_gradient.sft, weight=1.0))


NEUTRAL = dict(share=0.0)


def check(made: Recipe) -> bool:
    """Of two present rows with four tokens each has 1/4, as without replay; six rows are half of twelve."""
    c = example(made.objective(), [[1], [1]])
    return np.allclose(c, 1 / 4) and rehearsal.number(6, 0.5) == 6
