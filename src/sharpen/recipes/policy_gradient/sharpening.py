"""Answers that a model itself finds likely, made likelier against a leash, sharpen it without anybody's verdict.

Paper: arXiv 2412.01951 (Self-Improvement: The Sharpening Mechanism), RLHF-sharpening
Parent: rloo
Differs: the reward is the log-likelihood of the answer under the student when the loop began, less beta times the KL to it, and
    the verifier only measures. From the paper: leave-one-out gradients on sampled answers instead of its algorithm
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.core import Batch
from sharpen.objectives import contrast, weigh
from sharpen.recipe import Recipe
from sharpen.recipes.played import settings
from sharpen.recipes.policy_gradient import rloo


def recipe(beta: float = 1.0, own: bool = True) -> Recipe:
    parent = rloo.recipe()
    return replace(parent, objective=partial(contrast.sharpened, beta=beta)) if own else parent


NEUTRAL = dict(own=False)


def check(made: Recipe) -> bool:
    """Where the policy is base^(1 + 1 / beta), up to its scale, nothing changes; at the base the likelier answer is raised."""
    import torch

    beta, base = settings(made.objective)["beta"], torch.tensor([[0.6], [0.3], [0.1]], dtype=torch.float64).log()
    ones = np.ones((3, 1))
    batch = Batch(ones.astype(int), ones, ones * 0, np.zeros(3), np.zeros(3, int), np.ones(3), np.ones(3, int))
    best = ((1 + 1 / beta) * base).log_softmax(0)
    still, first = (weigh(made.objective(), batch, logp, reference=base)[0].numpy()[:, 0] for logp in (best, base))
    return bool(np.allclose(still, 0, atol=1e-9) and first[0] > 0 > first[2] and np.isclose(first.sum(), 0))
