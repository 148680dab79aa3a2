"""Solutions from which a pupil learns to do the next task are better ones, and a teacher that prefers them gets better itself.

Paper: arXiv 2406.14629 (Can LLMs Learn by Teaching?), M1 and M2; 3 exam tasks, as there
Parent: online_dpo
Differs: an answer's reward is the share of other tasks of its arm that a pupil, the student as it began, gets right with the
    answer as its one example; pairs are ranked by it. From the paper: the exam is held once, not three times; pairs are of
    each step
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts
from sharpen.core import Role
from sharpen.data import weak
from sharpen.recipe import Recipe
from sharpen.recipes.preference import online_dpo


def recipe(exam: int = 3, beta: float = 0.1, taught: bool = True) -> Recipe:
    parent = online_dpo.recipe(beta=beta)
    if not taught:
        return parent
    return replace(parent, rollout=partial(rollouts.weak.by_teaching, exam=exam), roles=(Role("pupil", bound="start"),))


NEUTRAL = dict(taught=False)


def check(made: Recipe) -> bool:
    """By hand: three 7s that teach little against two 4s that teach much; the majority says 7, the other three rules 4."""
    said, score = ["7", "7", "7", "4", "4"], [3, 3, 2, 6, 5]
    return [weak.by_lessons(said, score, way) for way in ("majority", "sum", "mean", "max")] == ["7", "4", "4", "4"]
