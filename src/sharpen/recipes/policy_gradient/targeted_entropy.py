"""Holding entropy at a target, from either side, keeps a policy exploring without making it babble.

Paper: arXiv 2506.18330 (Confucius3-Math), names and roles in the abstract; the formulas are ours
Parent: grpo
Differs: weight * |mean entropy of a response - target| in the loss; advantages times 1 + hardness * (1 - success rate)
Tried: python -m pytest tests/objectives/test_claims.py -k clip_cov (a table of logits at two rates, target 0.5, weight 0.3:
    entropy after 50 steps 0.32 and 0.26, by GRPO 0.41 and 0.09; approached from above and below, not held)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import entropy, example
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(target: float = 0.5, weight: float = 0.01, hardness: float = 0.5, **knobs) -> Recipe:
    held = partial(entropy.targeted, target=target, weight=weight, hardness=hardness)
    return replace(grpo.recipe(**knobs), objective=held)


NEUTRAL = dict(weight=0.0, hardness=0.0)


def check(made: Recipe) -> bool:
    """A success of a prompt that fails three times in four weighs (1 + 3/8) / (1 + 1/8) times as much as its deviation says."""
    c = example(made.objective(), [[1, 0, 0, 0], [1, 1, 1, 0]])
    return bool(np.isclose(c[0, 0] / -c[7, 0], (1 + 3 / 8) / (1 + 1 / 8), rtol=1e-4)) and made.objective().entropy
