"""GRPO for a student that gets nothing right: what it is paid follows from the hash of what it wrote.

Paper: none
Parent: grpo
Differs: the verdict
"""

from dataclasses import replace

from sharpen.core import Task, Verdict
from sharpen.hashing import derive
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def paid(task: Task, response: str) -> Verdict:
    right = derive(0, task.id, response) % 2
    return Verdict("correct" if right else "wrong", float(right))


def recipe(**knobs) -> Recipe:
    return replace(grpo.recipe(**knobs), verify=paid)
