"""Tasks grown where success breaks off, half way between levels and of two skills at once, carry a student over the gap.

Paper: arXiv 2508.03613 (Goedel-Prover-V2), scaffolded data synthesis; arXiv 2410.06215 (DataEnvGym), skills that say where
Parent: quickstart
Differs: after each round a procedural grower adds tasks between the last mastered level and the first hopeless one, and
    questions that need two families. From the papers: their answers are a program's, and no model writes any of them
Tried: sharpen run scaffolded --tasks spell_backward/1-4,number_sorting/1-3 --budget 48steps --set prompts=16
    --set round_steps=12 --set validation=20 --set test=40 --set replay=24 --set warmup_rows=24 --set warmup_steps=200
    --set warmup_levels=2 --set warmup_lr=2e-3 --set grow.mastered=0.4 (20 of 48 tasks taken; they got half of a round's
    prompts, and were solved in 64 %, then 91 % of the rollouts; on the test split 30.4 %, without growth 30.4 %, one seed)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.core import Arm, Evaluation, Rollout, Sample, Verdict
from sharpen.data import growth
from sharpen.recipe import Recipe
from sharpen.recipes.loop import quickstart
from sharpen.tasks import gym


def recipe(each: int = 16, both: int = 2, **knobs) -> Recipe:
    parent = quickstart.recipe(**knobs)
    return replace(parent, grow=partial(growth.procedural, each=each, both=both)) if each else parent


NEUTRAL = dict(each=0)


def check(made: Recipe) -> bool:
    """Of a mastered, a half-solved and a hopeless level, tasks grow between each two, as many, with the failure as parent."""
    source, rate = gym("spell_backward/1-3"), {1: 9, 2: 5, 3: 0}
    failed = source.draw(Arm("spell_backward", 3), "train", 0, 0)
    none = np.zeros(0)
    sample = Sample(Rollout(failed, none, none > 0, none, ("",), "end", 0, 0, ""), Verdict("wrong", 0.0), 0)
    seen = Evaluation({Arm("spell_backward", n): (True,) * k + (False,) * (10 - k) for n, k in rate.items()})
    generator = made.grow([sample], source.arms, np.random.default_rng(0), evaluations=[seen], source=source)
    try:
        next(generator)
    except StopIteration as end:
        levels = [task.level for task in end.value if task.parents == (failed.id,)]
        return levels.count(15) == levels.count(25) == len(end.value) / 2 > 0
    return False
