"""Goals on the way, named once by a teacher and paid a little when reached, find a sparse reward in a fraction of the steps.

Paper: arXiv 2410.08632 (Words as Beacons), abstract and README; the constant of the bonus is not stated
Parent: grpo
Differs: episodes with a key, a door and a goal; the next goal on the way is said beside what is seen, and the first time that
    it is reached pays `bonus` * (1 - t / T), all of them less than the goal; it is measured without (env "rooms"). From the
    paper: a rule writes the goals, right or, at the rate `wrong`, not; GRPO instead of PPO; no pictures. A grid of MiniGrid's
    own: `--env gymnasium:MiniGrid-DoorKey-5x5-v0`
"""

import json
from dataclasses import replace
from functools import partial

from sharpen.environments import rooms
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.within import within


def recipe(bonus: float = 0.1, wrong: float = 0.0, levels: str = "1-2", turns: int = 24, lit: bool = True) -> Recipe:
    if not lit:
        return grpo.recipe()
    told = within(grpo.recipe(), "beacons", levels, turns, json.dumps({"bonus": bonus, "wrong": wrong}), max_tokens=8)
    return replace(told, rollout=partial(told.rollout, held_out="rooms"), warmup_levels=1)


NEUTRAL = dict(lit=False)


def check(made: Recipe) -> bool:
    """A solved episode lights all three, which are worth less than the goal; the form with a potential sums to its last
    value."""
    world, task = rooms.Beacons(), {"seed": 3, "level": 1, "bonus": 9.0}
    world.reset(task)
    for word in rooms.solution(task):
        world.step(word)
    shaped = sum(0.9**t * f for t, f in enumerate(rooms.shaped([0, 1, 1, 2], 0.9, 0.5)))
    return world.lit == 3 and world.earned < 1 and world.reward().correct and abs(shaped - 0.9**3 * 1.0) < 1e-12
