"""One student with three modes of effort, named in its system message, keeps most of its accuracy at a quarter of the cost.

Paper: arXiv 2508.18773 (ThinkDial), section 3
Parent: grpo
Differs: each task is asked in one of three modes; after a warm-up without length terms the reward adds 0, 1/2 or 1 times the
    relative length in the group, at most 0 for wrong answers, and a leak term. From the paper: no imitation of chains that
    were cut first
"""

from dataclasses import replace
from functools import partial

from sharpen.data import lengths
from sharpen.recipe import Recipe
from sharpen.recipes.played import TASK, answers, settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import splicing


def recipe(leak: float = 0.5, warmup: float = 0.7, modes: bool = True) -> Recipe:
    parent = grpo.recipe()
    select = partial(lengths.by_mode, leak=leak, warmup=warmup)
    return replace(parent, rollout=splicing.in_mode, select=select) if modes else parent


NEUTRAL = dict(modes=False)


def check(made: Recipe) -> bool:
    """On an all-right group of evenly spread lengths the mean length reward is 0; a wrong short answer has no bonus."""
    weight, leak = lengths.MODES[lengths.mode_of(TASK)].weight, settings(made.select)["leak"]
    right = made.select(answers(("4", 1.0), ("4", 1.0), ("4", 1.0), tokens=(2, 4, 6)), progress=0.9)
    mixed = made.select(answers(("5", 0.0), ("4", 1.0), tokens=(2, 6)), progress=0.9)
    gained = [(s.verdict.reward or 0.0) - 1 - leak for s in right]
    same = made.select(answers(("5", 0.0), ("4", 1.0)), progress=0.1)
    known = abs(sum(gained)) < 1e-9 and abs(gained[0] - weight / 2) < 1e-9 and mixed[0].verdict.reward == leak
    return known and [s.verdict.reward for s in same] == [0.0, 1.0] and lengths.relative([1, 2, 3]) == [0.5, 0.0, -0.5]
