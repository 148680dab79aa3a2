"""Every task equally often, in random order, epoch after epoch: the control that a curriculum has to beat.

Paper: none; stochastic gradient descent without replacement, what trainers do by default
Parent: grpo
Differs: every task of the pool alike, not every arm alike; a task comes back only after all the others
"""

from dataclasses import replace

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(by_task: bool = True, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    return replace(parent, curriculum=curriculum.epochs) if by_task else parent


NEUTRAL = dict(by_task=False)


def check(made: Recipe) -> bool:
    """After three epochs every task was tried three times, and no task twice within an epoch."""
    trace = testbed.run(made.curriculum, testbed.Bandit(tasks=16), steps=12, prompts=16, samples=2)
    tasks = [task.id for task in trace.tasks()]
    return all(len(set(tasks[i : i + 64])) == 64 for i in (0, 64, 128))
