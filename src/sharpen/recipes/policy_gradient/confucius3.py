"""Entropy held at a target, recent prompts that still teach brought back, hard ones weighed more: cheap and stable together.

Paper: arXiv 2506.18330 (Confucius3-Math): targeted entropy, recent sample recovery, hardness weighting; their roles are the
    abstract's, and all three rules are ours
Parent: targeted_entropy
Differs: a quarter of the prompts are those of the last ten steps that were solved sometimes, the hardest first; the others
    every task in turn
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import targeted_entropy


def recipe(share: float = 0.25, window: int = 10, **knobs) -> Recipe:
    parent = targeted_entropy.recipe(**knobs)
    back = partial(curriculum.recovered, share=share, window=window)
    return replace(parent, curriculum=back) if share else parent


NEUTRAL = dict(share=0.0)


def check(made: Recipe) -> bool:
    """What is mastered, or hopeless, never comes back; what is half solved does, within a few steps."""
    world = testbed.Bandit((-60, 0, 60), transfer=0, rate=0, tasks=60)
    trace = testbed.run(made.curriculum, world, steps=12, prompts=8, samples=4)
    tasks = [task for task in trace.tasks() if task.level != 1]
    middle = [task for task in trace.tasks() if task.level == 1]
    return len(set(tasks)) == len(tasks) and len(set(middle)) < len(middle)
