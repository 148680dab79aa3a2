"""Practice at the edge of what the student can do, kept only when held-out skill rises, beats practising everything evenly.

Paper: none; joins GRPO (arXiv 2402.03300, section 4.1) with SEC (arXiv 2505.14970)
Parent: none
Differs: prompts go to the arms with the largest mean |advantage|; a round that did not help, or hurt an arm, is rolled back
"""

from functools import partial

import numpy as np

from sharpen import control, data, guard, objective, rollout, tasks, teach, verify
from sharpen.core import Arm, ArmStats, Recipe


def recipe() -> Recipe:
    return Recipe(
        tasks=tasks.gym,
        teach=partial(teach.sec, floor=0.1),
        rollout=rollout.single,
        verify=verify.verify,
        data=data.keep_all,
        objective=objective.grpo,
        guard=guard.ratchet,
        control=control.never,
    )


NEUTRAL: dict[str, object] = {}


def check(made: Recipe) -> bool:
    """Of a mastered, a half-solved and an impossible arm, the half-solved one gets most prompts, and the others some."""
    size = {Arm("a", 1): 0.0, Arm("a", 2): 8.0, Arm("a", 3): 0.0}
    history = {arm: [ArmStats(step, arm, 8, 4, total, 80) for step in range(20)] for arm, total in size.items()}
    chosen = [arm.level for arm, _ in made.teach(history, list(size), 300, 8, np.random.default_rng(0))]
    return chosen.count(2) > 270 and chosen.count(1) == chosen.count(3) >= 10
