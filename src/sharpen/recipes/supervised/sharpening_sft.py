"""The likeliest of many answers, imitated, teaches a model to say at once what it would have chosen, without a verdict.

Paper: arXiv 2412.01951 (Self-Improvement: The Sharpening Mechanism), SFT-sharpening: best of n by the model's own likelihood
Parent: rft
Differs: of each prompt's answers the likeliest, whatever the verifier says, is imitated; `mean` takes the mean over its tokens.
    From the paper: the likelihood is that of the present student, not of the base model, and rounds follow each other
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.data import curating
from sharpen.recipe import Recipe
from sharpen.recipes.played import answers
from sharpen.recipes.supervised import rft


def recipe(mean: bool = False, own: bool = True) -> Recipe:
    parent = rft.recipe()
    return replace(parent, select=partial(curating.likeliest, mean=mean)) if own else parent


NEUTRAL = dict(own=False)


def check(made: Recipe) -> bool:
    """The likeliest is kept, though it is wrong; of n tries it is among them with 1 - (1 - p)^n."""
    samples = answers(("4", 1.0), ("5", 0.0), ("6", 0.0))
    logprobs = [np.full(len(s.rollout.tokens), -x) for s, x in zip(samples, (1.0, 0.2, 3.0), strict=True)]
    kept = made.select(samples, logprobs=logprobs)
    rng = np.random.default_rng(0)
    hit = np.mean([(rng.random(8) < 0.2).any() for _ in range(400)])
    return [s.rollout.response for s in kept] == ["5"] and bool(abs(hit - (1 - 0.8**8)) < 0.06)
