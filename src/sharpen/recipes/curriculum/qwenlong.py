"""Short inputs first, then long ones with the hardest of the short: reinforcement learning on long inputs stays stable.

Paper: arXiv 2505.17667 (QwenLong-L1), sections 3.1 to 3.3: warm-up by imitation, phases by length, retrospective sampling
Parent: retrospective
Differs: after a share `imitate` of the budget on worked solutions, phases take equal parts of the pool by the length of what is
    asked. From the paper: parts instead of 20 and 60 thousand tokens, the verifier alone instead of the better of it and a
    judge, and no KL in either; an item that was never solved counts twice one that was solved once
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum, guard
from sharpen.curriculum import testbed
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.curriculum import retrospective
from sharpen.recipes.supervised import sft


def recipe(imitate: float = 0.2, phases: int = 2, back: float = 0.25, by_length: bool = True, pool: int = 200) -> Stages:
    rl = replace(retrospective.recipe(**({} if by_length else {"phases": 3})), pool=pool)
    if by_length:
        rl = replace(rl, curriculum=partial(curriculum.phased, phases=phases, back=back))
    return staging.sequence(
        Stage("sft", replace(sft.recipe(), pool=pool), imitate, handover.last, guard.ratchet),
        Stage("rl", rl, 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(imitate=0.0, by_length=False, pool=1000)


def check(made: Stages) -> bool:
    """Half of the run is on the shorter half of the tasks; then a quarter of the prompts are tasks of it that failed."""
    world = testbed.Bandit((0, 1), spread=6.0, rate=0.0, tasks=40)
    trace = testbed.run(made.stages[-1].recipe.curriculum, world, steps=20, prompts=8)
    asked = [[len(str(task.prompt)) for task in trace.tasks(a, b)] for a, b in ((0, 10), (10, 20))]
    return [stage.name for stage in made.stages] == ["sft", "rl"] and bool(np.mean(asked[0]) <= np.mean(asked[1]))
