"""Refining only the hard questions, by a review that knows the scores, beats voting and refining everything, at less cost.

Paper: arXiv 2409.12147 (MAgICoRe), section 3 and its release
Parent: grpo
Differs: n answers; where the vote is unsure and its answers worth less than the others, each is reviewed and refined, at most
    `rounds` times; a weighted vote answers. From the paper: one value in place of two reward models, compared within the
    question
"""

from dataclasses import replace
from functools import partial
from math import isclose, log

from sharpen.recipe import Recipe
from sharpen.recipes.played import played, settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import refining


def recipe(n: int = 8, rounds: int = 3, certain: float = 0.5) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, rollout=partial(refining.coarse_to_fine, n=n, rounds=rounds, certain=certain)) if n > 1 else parent


NEUTRAL = dict(n=1)


def check(made: Recipe) -> bool:
    """An easy question costs n calls, and no more; confidence is 1 where all agree, and 1/2 at an entropy of ln 3."""
    easy = played(made.rollout, "<answer>4</answer>")
    even = refining.confidence({"a": 1.0, "b": 1.0, "c": 1.0})
    sure = refining.confidence({"a": 3.0})
    return (
        easy.spent.calls == settings(made.rollout)["n"]
        and isclose(sure, 1.0)
        and isclose(even, 2 * (1 - 3 / (1 + 3)))
        and log(3) > 1
    )
