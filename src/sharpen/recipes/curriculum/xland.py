"""Tasks that are solved sometimes, and not by luck, and a comparison by percentiles make an agent general rather than peaked.

Paper: arXiv 2107.12808 (Open-Ended Learning Leads to Generally Capable Agents), sections 4 and 5
Parent: uniform
Differs: a dynamic gate on single tasks, with the student before training as the control; a round is kept where no percentile of
    normalised success over arms falls by more than `slack`. From the paper: thresholds are ours (there tuned by a population),
    a generation goes on from its best weights instead of being distilled from them, and no co-players
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum, guard
from sharpen.core import Arm, Evaluation
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(low: float = 0.02, high: float = 0.9, control: float = 0.8, fresh: float = 0.25, slack: float = 0.05) -> Recipe:
    parent = uniform.recipe()
    if fresh >= 1:
        return parent
    gate = partial(curriculum.gated, low=low, high=high, control=control, fresh=fresh)
    return replace(parent, curriculum=gate, guard=partial(guard.percentiles, slack=slack))


NEUTRAL = dict(fresh=1.0)


def check(made: Recipe) -> bool:
    """Of a level solved by luck, a half-solved and a hopeless one, the half-solved has most; a specialist of a higher mean, who
    has lost what many arms had, is refused."""
    world = testbed.Bandit((-2, 0.5, testbed.WALL), rate=0, tasks=30)
    shares = testbed.run(made.curriculum, world, steps=30, prompts=8).shares()[10:].mean(axis=0)
    arms = [Arm("a", i) for i in range(10)]
    even = Evaluation({arm: (True,) * 4 + (False,) * 6 for arm in arms})
    peaked = Evaluation({arm: (i >= 5,) * 10 for i, arm in enumerate(arms)})
    return shares[1] > 0.6 and made.guard(even, peaked).answer == "worse" and made.guard(peaked, even).answer != "worse"
