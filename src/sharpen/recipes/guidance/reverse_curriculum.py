"""Answers begun with most of the solution, then with less and less of it, reach tasks whose reward nobody meets from the start.

Paper: arXiv 2402.05808 (R3, reverse curriculum reinforcement learning), abstract
Parent: grpo
Differs: the student's answer begins with a part of the worked solution, which carries no loss; the rollouts of a task have
    less and less of it, the last none; the parts fade with the budget, or, with a `target`, as the arm is solved without. From
    the paper: shares of the solution's characters, no stages that end at a step
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.data import hints
from sharpen.recipe import Recipe
from sharpen.recipes.played import played
from sharpen.recipes.policy_gradient import grpo


def recipe(share: float = 0.75, until: float = 0.5, imitated: bool = False, target: float = 0.0, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    if not share:
        return parent
    if target:
        return replace(parent, rollout=partial(rollouts.hints.begun_until, share=share, target=target), select=hints.noting)
    return replace(parent, rollout=partial(rollouts.hints.begun, share=share, until=until, imitated=imitated))


NEUTRAL = dict(share=0.0)


def check(made: Recipe) -> bool:
    """Three quarters of "1 2 3 4 " are given at first, and what is learnt is what comes behind; the whole is judged."""
    first = partial(made.rollout, progress=0.0, place=(0, 2))
    tried = played(first, "7", solution="1 2 3 4 ")
    return tried.response == "1 2 3 7" and int(tried.sampled.sum()) == 1
