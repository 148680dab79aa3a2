"""A reward model that chooses what is imitated, learns from what that makes, and then pays practice, improves in circles.

Paper: arXiv 2409.12122 (Qwen2.5-Math), sections 3 and 4; reward shaping, equation 3, alpha 0.5
Parent: grpo
Differs: of each prompt's right answers the one that the reward model likes best is imitated, while it learns to rank; then GRPO
    on its score, which is never above that of a right answer for a wrong one. From the paper: one cycle in which both learn at
    every step instead of rounds of models; a head on a copy of the student; at test time `--search best_of=8` chooses
"""

from dataclasses import replace
from typing import Any

from sharpen import guard, verify
from sharpen.core import Role
from sharpen.data import curating, lessons
from sharpen.guard import handover
from sharpen.objectives import rewards
from sharpen.recipe import Method, Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import rft


def recipe(imitate: float = 0.4, rm_lr: float = 1e-3, learnt: bool = True) -> Method:
    if not learnt:
        return grpo.recipe()
    role = Role("reward", gives="scores", bound="start", objective=rewards.prefer, teach=lessons.preferences, lr=rm_lr)
    paid: dict[str, Any] = dict(verify=verify.trusted, roles=(role,))
    return staging.sequence(
        Stage("imitate", replace(rft.recipe(), select=curating.liked, **paid), imitate, handover.last, guard.always),
        Stage("practise", replace(grpo.recipe(), **paid), 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(learnt=False)


def check(made: Stages) -> bool:
    """Whatever the reward model thinks, a right answer is worth at least 1/2 and a wrong one at most 1/2; of right answers the
    liked one is imitated."""
    from sharpen.verify import learnt

    paid = made.stages[1].recipe.verify
    worth = [
        learnt.rehearse(paid, outcome, scores=[s]).reward
        for outcome, s in (("wrong", 40.0), ("correct", -40.0), ("correct", 0.0))
    ]
    return (
        worth[0] <= 0.5 <= worth[1] and abs(worth[2] - 0.75) < 1e-9 and [s.name for s in made.stages] == ["imitate", "practise"]
    )
