"""Practising where |advantage| is largest follows the student's frontier and beats a random order.

Paper: arXiv 2505.14970 (SEC), sections 3.1 and 3.2
Parent: grpo
Differs: arms get their expected number of prompts rounded (the paper draws each); alpha and temperature are ours, for the
    paper tunes them per domain; `floor` keeps every arm in sight (paper: 0)
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py tests/curriculum/test_sec.py -k "sec or
    frontier" (on the bandit's hardest level +58.2 points against uniform, 95 % 40.8 to 75.6, ten seeds; the arm in favour is
    the most learnable in at least four fifths of the time)
Tried: python bench/controls.py --seeds 0 1 2 (in quickstart no difference from even practice shown: -0.4, -0.2 and +0.2
    points, give or take 1.6 or 1.7 each; on the embedded student, three minutes a run, in quickstart no difference to even
    practice shown, -1.0 points, -4.2 to 2.1; with rft instead of it, 0.6 points, -1.5 to 2.8)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.core import Arm, ArmStats
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(alpha: float = 0.3, temperature: float = 0.2, initial: float = 0.0, floor: float = 0.0, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    bandit = partial(curriculum.sec, alpha=alpha, temperature=temperature, initial=initial, floor=floor)
    return replace(parent, curriculum=bandit) if floor < 1 else parent


NEUTRAL = dict(floor=1.0)


def check(made: Recipe) -> bool:
    """Shares are the softmax of Q: where one arm's Q stays at 1 and the other's at 0, exp(1 / temperature) to 1."""
    a, b = Arm("a", 1), Arm("b", 1)
    history = {arm: [ArmStats(t, arm, 8, 4, q, 0) for t in range(60)] for arm, q in ((a, 8.0), (b, 0.0))}
    chosen = [arm for arm, _ in made.curriculum(history, [a, b], 10_000, 8, np.random.default_rng(0))]
    return abs(chosen.count(a) / chosen.count(b) / np.exp(1 / 0.2) - 1) < 0.01
