"""Leave-one-out advantages with a clip by token train agents on tasks with state, with one copy of the model in memory.

Paper: arXiv 2502.01600 (LOOP), section 4: six rollouts a task, adapters, reward by what was done to the state
Parent: loop
Differs: a booking by tools for a customer, judged by the last state of its database, on adapters of rank `lora`, so that no
    second copy is kept. From the paper: the worlds that ship, or `--env` of one's own, instead of AppWorld's; right or wrong
    instead of the share of unit tests
"""

from sharpen.environments import airline
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import loop
from sharpen.recipes.within import within


def recipe(levels: str = "1-3", turns: int = 10, lora: int = 0, act: bool = True, **knobs) -> Recipe:
    parent = loop.recipe(**knobs)
    return within(parent, "airline", levels, turns=turns, samples=6, lora=lora) if act else parent


NEUTRAL = dict(act=False)


def check(made: Recipe) -> bool:
    """Only the state counts: who books what was wanted is right, who books anything else, or says so, is not."""
    task = {"seed": 3, "level": 2}
    wanted = airline.wanted(task)
    worlds = [airline.Airline() for _ in range(3)]
    for world in worlds:
        world.reset(task)
    worlds[0].book(wanted)
    worlds[1].book(dict.fromkeys(wanted, "elsewhere"))
    return [w.reward() for w in worlds] == [1.0, 0.0, 0.0] and made.samples == 6
