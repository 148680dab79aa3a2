"""An agent of atomic actions does what no menu of composite ones holds.

Paper: arXiv 2409.10277 (Cognitive Kernel), abstract: atomic actions instead of a list, memory that is recalled
Parent: grpo
Differs: an action is a short program over open, find, save, recall and answer; `menu` gives the same tasks with a fixed menu
    instead. From the paper: no browser, no model within the actions, a reward of its own (there is none in the abstract)
"""

from sharpen.environments import atomic
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.within import within


def recipe(levels: str = "1-3", menu: bool = False, act: bool = True) -> Recipe:
    if not act:
        return grpo.recipe()
    return within(grpo.recipe(), "atomic", levels, turns=4, more='{"menu": true}' if menu else "", max_tokens=80)


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """Two places: the program that saves finds their sum, the menu has no way, and what was saved outlives its page."""
    task = {"seed": 5, "level": 2}
    (program,) = atomic.solution(task)
    free, bound = atomic.Atomic(), atomic.Atomic()
    free.reset(task)
    bound.reset({**task, "menu": True})
    free.step(program)
    for entry in atomic.MENU:
        try:
            bound.step(entry)
        except ValueError:
            continue
    return free.reward() == 1.0 and bound.reward() == 0.0
