"""Naming algorithms first, and measuring what their programs do, finds faster right programs than improving one program.

Paper: arXiv 2502.18489 (LLM4EFFI), abstract
Parent: grpo
Differs: for questions that a program answers: algorithms, a program for each, and of those that print what most print the one
    that executes fewest lines. From the paper: agreement of the candidates stands for synthetic tests, and lines for seconds
"""

from dataclasses import replace
from functools import partial

from sharpen.recipe import Recipe
from sharpen.recipes.played import settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import refining


def recipe(ways: int = 3) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, rollout=partial(refining.efficient, ways=ways)) if ways else parent


NEUTRAL = dict(ways=0)


def check(made: Recipe) -> bool:
    """A wrong program never wins by being fast, nor one that crashed: right comes before fast."""
    runs = [("ok", "9", 1), ("ok", "4", 400), ("ok", "4", 20), ("crash", "4", 2), ("ok", "4", 90)]
    return refining.leanest(runs) == 2 and refining.leanest([("crash", "", 1)]) is None and settings(made.rollout)["ways"] > 1
