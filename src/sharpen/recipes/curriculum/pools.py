"""Tasks surely mastered or surely out of reach are drawn less often, and silent groups are replaced.

Paper: none; prime-rl's difficulty pools and admission gates (PrimeIntellect-ai/prime-rl, orchestrator/curriculum)
Parent: uniform
Differs: a pool is decided by a 95 % interval on counts that fade, where prime-rl takes the mean of the latest group; silent
    groups are replaced at most `refills` times a step
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum, data
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(easy_weight: float = 0.1, hard_weight: float = 0.3, refills: int = 1) -> Recipe:
    parent = uniform.recipe()
    drawn = partial(curriculum.pools, easy_weight=easy_weight, hard_weight=hard_weight)
    return replace(
        parent,
        curriculum=drawn if min(easy_weight, hard_weight) < 1 else parent.curriculum,
        select=data.gate if refills else parent.select,
        refills=refills,
    )


NEUTRAL = dict(easy_weight=1.0, hard_weight=1.0, refills=0)


def check(made: Recipe) -> bool:
    """Where a third of the tasks each is mastered, half solved and impossible, the half solved get most once that is known."""
    world = testbed.Bandit((-9, 0, testbed.WALL), transfer=0, rate=0, tasks=20)
    shares = testbed.run(made.curriculum, world, steps=100, prompts=8).shares()[60:].mean(axis=0)
    return shares[1] > 0.5 and shares[0] < 0.2 and shares[2] < 0.35
