"""Models take in less of good feedback than they could, and rejecting answers that were given before helps, if not enough.

Paper: arXiv 2506.11930 (Feedback Friction), sections 3 and 5; the mitigations as in its release
Parent: grpo
Differs: several attempts with the first wrong step named between them, each hotter than the last, and of several draws one
    whose answer is new; `verify.turns.friction` says what is left of the way. From the paper, which trains nothing: GRPO on the
    last attempt; the checker's words in place of a strong model's; the first draws are warm, not greedy
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, verify
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import feedback


def recipe(attempts: int = 4, draws: int = 4, heat: float = 0.15, told: bool = True) -> Recipe:
    parent = grpo.recipe()
    if not told:
        return parent
    asked = partial(rollouts.untried, feedback=feedback.first_error, attempts=attempts, draws=draws, heat=heat)
    return replace(parent, rollout=asked, verify=partial(verify.each_turn, draws=draws, credited=False))


NEUTRAL = dict(told=False)


def check(made: Recipe) -> bool:
    """Of four draws of an answer the one that is new counts as the attempt."""
    from sharpen.core import Task

    task = Task(({"role": "user", "content": "guess"},), "4", "f", 1)
    found = made.verify(task, "4", turns=("5", "5", "5", "4", "6"))
    return found.correct and found.parts == {"turn 1": 0.0, "turn 2": 1.0}
