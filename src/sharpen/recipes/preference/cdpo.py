"""Doubting one label in ten keeps preference training from chasing a margin that the labels do not support.

Paper: Mitchell 2023, "A note on DPO with noisy preferences", ericmitchell.ai/cdpo.pdf, equation 3
Parent: dpo
Differs: labels count as wrong with probability `smoothing`, so the margin stops at log((1 - smoothing) / smoothing) / beta
Status: reproduced on a toy: python -m pytest tests/objectives/test_preferences.py -k every_label (labels that all agree: the
    margin is 2.197, log 9, after 100 steps and 400; DPO's 4.4 and 5.8, as the logarithm of the steps)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import example, preferences
from sharpen.recipe import Recipe
from sharpen.recipes.preference import dpo


def recipe(beta: float = 0.1, smoothing: float = 0.1) -> Recipe:
    return replace(dpo.recipe(), objective=partial(preferences.dpo, beta=beta, smoothing=smoothing))


NEUTRAL = dict(smoothing=0.0)


def check(made: Recipe) -> bool:
    """At margin 0 the pull is beta (1/2 - 1/10); a margin of 22.1 has passed the optimum, log(9) / beta = 21.97."""
    at_start = example(made.objective(), [[1, 0]], lengths=[1, 1])[:, 0]
    far = example(made.objective(), [[1, 0]], lengths=[221, 0], ratio=np.exp(0.1))[0, 0]
    return np.allclose(at_start, [0.04, -0.04]) and far < 0
