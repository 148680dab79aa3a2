"""Learning progress, but only on what is interesting: variants of what is done already get nothing.

Paper: arXiv 2306.01711 (OMNI), section 3; threshold, rates and the factor 0.001 of the release
Parent: grpo
Differs: the language model that judges interest is a function: an arm is boring once a harder level of its family is done well;
    evaluations are those of the rounds; `floor` is ours
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py -k omni (of 400 prompts ten variants of what is
    done get 4, by progress alone 361; on the bandit's hardest level 4.0 points below uniform, give or take 1.0, ten seeds)
Tried: sharpen compare quickstart:adaptive=false quickstart
    quickstart:curriculum={dump,learning_progress,thompson,omni,ladder,mixing,alp_gmm,cures} --budget 3m --seeds 3 (three
    minutes a run: in quickstart no difference to even practice shown, -0.5 points, -2.7 to 1.8)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.core import Arm, Evaluation
from sharpen.recipe import Recipe, call
from sharpen.recipes.policy_gradient import grpo


def recipe(rate: float = 0.1, threshold: float = 0.1, well: float = 0.8, floor: float = 0.0, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    interest = partial(curriculum.omni, rate=rate, threshold=threshold, well=well, floor=floor)
    return replace(parent, curriculum=interest) if floor < 1 else parent


NEUTRAL = dict(floor=1.0)


def check(made: Recipe) -> bool:
    """Two arms make the same progress; the one whose harder level is done gets next to nothing."""
    seen = [Evaluation({Arm(f, k): (k == 2, True) for f, k in (("a", 1), ("a", 2), ("b", 1))}) for _ in range(3)]
    chosen = call(made.curriculum, {}, list(seen[0].correct), 1000, 8, np.random.default_rng(0), evaluations=seen)
    return sum(arm == Arm("a", 1) for arm, _ in chosen) <= 2 < 100 < sum(arm == Arm("b", 1) for arm, _ in chosen)
