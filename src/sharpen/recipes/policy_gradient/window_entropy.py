"""Paying for open questions in an answer only where the prompt is hard shortens easy answers and lengthens hard ones.

Paper: arXiv 2510.08457 (ARES), section 4, adaptive entropy policy optimisation
Parent: grpo
Differs: a term of the reward for the number of tokens after which entropy stays high, by difficulty of the prompt. From the
    paper: the threshold is the step's own quantile; targets lie between the group's own extremes; strengths are fixed
"""

from dataclasses import replace
from functools import partial

from sharpen.objectives import entropy
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(strength: float = 0.2, window: int = 4, quantile: float = 0.8, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    shaped = partial(entropy.window_reward, strength=strength, window=window, quantile=quantile)
    return replace(parent, select=shaped if strength else parent.select)


NEUTRAL = dict(strength=0.0)


def check(made: Recipe) -> bool:
    """More open tokens pay a right answer less on an easy prompt, beyond a margin, and more on a hard one."""
    easy, hard = ([entropy.exploration(d, 4, bucket, True, 0.5) for d in range(9)] for bucket in (0, 2))
    return (
        made.select is not grpo.recipe().select
        and easy[0] == 0
        and easy == sorted(easy, reverse=True)
        and easy[-1] < 0 < hard[0]
        and hard == sorted(set(hard))
    )
