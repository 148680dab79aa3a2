"""Learning only the tokens that surprise more than the choice was open keeps entropy that imitation would destroy.

Paper: arXiv 2508.03178 (Light-IF), Entropy-SFT; share and weight as in its training command
Parent: sft
Differs: of the batch's tokens, the `share` with the largest -log p - weight * entropy; the others have no gradient
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.core import Rollout, Sample, Task, Verdict
from sharpen.objectives import entropy
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import sft


def recipe(share: float = 0.8, weight: float = 0.8) -> Recipe:
    parent = sft.recipe()
    return replace(parent, select=partial(entropy.surprising, share=share, weight=weight) if share < 1 else parent.select)


NEUTRAL = dict(share=1.0)


def check(made: Recipe) -> bool:
    """By hand, five tokens of equal likelihood: the one of the highest entropy is left out."""
    task = Task(({"role": "user", "content": "?"},), "4", "f", 1)
    all_of_it = Rollout(task, np.zeros(5, np.int32), np.ones(5, bool), np.zeros(5, np.float32), ("4",), "forced", 0, 0, "r")
    shown = [Sample(all_of_it, Verdict("correct", 1.0), 0)]
    (found,) = made.select(shown, entropy=[np.array([0, 1, 4, 2, 3.0])], logprobs=[np.full(5, -1.0)])
    return found.rollout.sampled.tolist() == [True, True, False, True, True]
