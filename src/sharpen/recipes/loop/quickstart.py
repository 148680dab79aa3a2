"""Practice at the edge of one's ability, old successes replayed, harm taken back: 15 points in six minutes.

Paper: none; GRPO (arXiv 2402.03300, section 4.1) on the arms that SEC (arXiv 2505.14970) chooses
Parent: grpo
Differs: prompts go to the arms with the largest mean |advantage|; earlier successes, worked solutions among them, are imitated
    in the same step; measured and kept is a running mean of the weights; rounds are rolled back on evidence of harm only
Status: reproduced: python bench/controls.py --seeds 0 1 2 (+17.0, +19.3 and +19.7 points on the test split)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum, guard
from sharpen.core import Arm, ArmStats
from sharpen.objectives import example, policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(
    adaptive: bool = True,
    guarded: bool = True,
    replay: int = 96,
    average: float = 0.97,
    lr: float = 8e-4,
    lr_end: float = 0.3,
) -> Recipe:
    parent = grpo.recipe()
    return replace(
        parent,
        curriculum=partial(curriculum.sec, floor=0.1) if adaptive else parent.curriculum,
        guard=guard.sequential if guarded else parent.guard,
        objective=policy_gradient.practice if replay else parent.objective,
        replay=replay,
        average=average,
        lr=lr,
        lr_end=lr_end,
    )


NEUTRAL = dict(adaptive=False, guarded=False, replay=0, average=0.0, lr=1e-4, lr_end=1.0)


def check(made: Recipe) -> bool:
    """Of a mastered, a half-solved and an impossible arm, the half-solved one gets most prompts, and the others some; a
    response that is alone in its group is imitated."""
    size = {Arm("a", 1): 0.0, Arm("a", 2): 8.0, Arm("a", 3): 0.0}
    history = {arm: [ArmStats(step, arm, 8, 4, total, 80) for step in range(20)] for arm, total in size.items()}
    chosen = [arm.level for arm, _ in made.curriculum(history, list(size), 300, 8, np.random.default_rng(0))]
    at_the_edge = chosen.count(2) > 270 and chosen.count(1) == chosen.count(3) >= 10
    return at_the_edge and bool((example(made.objective(), [[1]]) > 0).all())
