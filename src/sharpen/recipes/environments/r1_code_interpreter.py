"""A code interpreter is learnt best from samples that come out right about as often as wrong, those first.

Paper: arXiv 2505.21668 (R1-Code-Interpreter), multi-turn code, masked output, staged by improvement potential
Parent: grpo
Differs: Python with state in the sandbox, at most 8 calls, whose output carries no loss; tasks come in the order of 4p(1 - p)
    of their tries, the best fourth first. From the paper: p is of 20 answers of four other agents; rewards are right or
    wrong alone, without 0.1 for the format; no imitation of GPT-4o before
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum, rollouts
from sharpen.core import Arm, Choices
from sharpen.curriculum import Attempts, History
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo

GROUPS = (0.64, 0.48, 0.32, 0.0)  # the least potential of each: with 20 answers 4 to 16 right, 3 or 17, 2 or 18, the rest


def staged(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    *,
    attempts: Attempts,
    progress: float,
) -> Choices:
    """Tasks of the groups that are open by now, a further one with each fourth of the budget; the untried count as halves."""
    p = np.where(attempts.tries > 0, attempts.right / np.maximum(attempts.tries, 1), 0.5)
    least = GROUPS[min(int(progress * len(GROUPS)), len(GROUPS) - 1)]
    order = np.where(4 * p * (1 - p) >= least - 1e-9, 0.0, 1e6) + attempts.visits + rng.random(len(attempts))
    return curriculum.dealt(attempts, curriculum.lowest(order, prompts), prompts * samples)


def recipe(calls: int = 8, by_potential: bool = True, act: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not act:
        return parent
    acted = partial(rollouts.with_toolbox, tools="python", turns=calls + 1)
    return replace(parent, rollout=acted, curriculum=staged if by_potential else parent.curriculum)


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """Of 20 answers the groups are 4 to 16, 3 and 17, 2 and 18, and 0, 1, 19, 20 right ones."""
    potential = [4 * k / 20 * (1 - k / 20) for k in range(21)]
    group = [next(i for i, least in enumerate(GROUPS) if value >= least - 1e-9) for value in potential]
    return group == [3, 3, 2, 1, *[0] * 13, 1, 2, 3, 3]
