"""A task tried more often at once and more rarely after is remembered better at the same cost.

Paper: arXiv 2503.18371 (View-Batch), section 3; 4 views
Parent: uniform
Differs: a view is another group of rollouts of the same prompt, not an augmented image, and the views are compared as one
    group: there is no consistency loss
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(views: int = 4) -> Recipe:
    parent = uniform.recipe()
    return replace(parent, curriculum=partial(curriculum.views, views=views)) if views > 1 else parent


NEUTRAL = dict(views=1)


def check(made: Recipe) -> bool:
    """Four times as many steps between two visits of a task as without, and as many rollouts in each step."""
    trace = testbed.run(made.curriculum, testbed.Bandit(tasks=4), steps=9, prompts=16, samples=2)
    visits = [t for t, choices in enumerate(trace.chosen) for what, _ in choices if what == trace.chosen[0][0][0]]
    return 1 <= visits[1] <= 7 and all(sorted(n for _, n in choices) == [8] * 4 for choices in trace.chosen)
