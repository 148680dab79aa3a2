"""A fifth of the tokens, from the responses whose advantages vary most and where the student is unsure, teach as much as all.

Paper: arXiv 2509.22115 (D3S), sample level, token level and schedule
Parent: grpo
Differs: only the most varied half of the responses is trained, and of those the tokens with the largest |advantage| * entropy;
    both shares rise to all over the budget; mean over tokens. Advantages are those of whole groups
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.objectives import entropy, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(responses: float = 0.5, tokens: float = 0.3, relax: float = 1.0, per_token: bool = True, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    fewer = partial(entropy.down_sample, responses=responses, tokens=tokens, relax=relax)
    return replace(
        parent,
        select=parent.select if responses == tokens == 1 else fewer,
        objective=partial(policy_gradient.grpo, per_token=per_token),
    )


NEUTRAL = dict(responses=1.0, tokens=1.0, per_token=False)


def check(made: Recipe) -> bool:
    """Of one success and seven failures the success and any three failures vary most; of equals it is halves."""
    rare = entropy.most_varied(np.array([2.6] + [-0.4] * 7), 4)
    even = entropy.most_varied(np.array([1.0, -1.0] * 4), 4)
    return 0 in rare and sorted(i % 2 for i in even) == [0, 0, 1, 1] and made.select is not grpo.recipe().select
