"""Hiding a part of the answer's words from whoever continues them makes the question count more, and answers more often right.

Paper: arXiv 2403.02178 (masked thought fine-tuning), section 3
Parent: sft
Differs: each token of the answer is hidden from the input with probability `share`, which grows from 0; what is predicted stays
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import data
from sharpen.core import Rollout, Sample, Task, Verdict
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import sft


def recipe(share: float = 0.2, ramp: float = 0.2) -> Recipe:
    parent = sft.recipe()
    return replace(parent, select=partial(data.mask_inputs, share=share, ramp=ramp) if share else parent.select)


NEUTRAL = dict(share=0.0)


def check(made: Recipe) -> bool:
    """About a fifth of the answer is hidden, nothing of the question, and the targets are what they were."""
    tokens, answer = np.full(2000, 7, np.int32), np.arange(2000) >= 1000
    task = Task(({"role": "user", "content": "?"},), "4", "f", 1)
    said = Rollout(task, tokens, answer, np.zeros(2000, np.float32), ("4",), "forced", 0, 0, "r")
    (found,) = made.select([Sample(said, Verdict("correct", 1.0), 0)], progress=1.0, rng=np.random.default_rng(0), mask_token=1)
    hidden = np.asarray(found.inputs) == 1
    return not hidden[:1000].any() and 0.15 < hidden[1000:].mean() < 0.25 and bool((found.rollout.tokens == 7).all())
