"""A mixture that rehearses what was mastered learns the rest without forgetting.

Paper: none; the two aims of arXiv 2507.15640 (Data Mixing Agent), whose learned agent is replaced by a rule
Parent: grpo
Differs: weights follow the skill map's predicted gain, and a share `rehearse` the best accuracy each arm has reached; no agent
    is trained
Tried: python -m pytest tests/curriculum/test_curricula.py -k mixing_forgets (on the bandit with forgetting, rehearsing with
    half of the rollouts keeps what was mastered 0.6 points higher, give or take 0.05, and the rest 34.2 lower, give or take
    1.2, ten seeds; on the embedded student, three minutes a run, in quickstart no difference to even practice shown, -0.6
    points, -1.5 to 0.3)
"""

from dataclasses import replace
from functools import partial

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(rehearse: float = 0.3, keep: float = 0.5, floor: float = 0.1, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    mixture = partial(curriculum.mixing, rehearse=rehearse, keep=keep, floor=floor)
    return replace(parent, curriculum=mixture) if floor < 1 else parent


NEUTRAL = dict(floor=1.0)


def check(made: Recipe) -> bool:
    """Of a mastered, a half-solved and an impossible arm, the half-solved one gets most and the mastered one more than its
    floor, which the impossible one is left with."""
    shares = (
        testbed.run(made.curriculum, testbed.Bandit((-9, 0, testbed.WALL), rate=0), steps=10, prompts=100).shares().mean(axis=0)
    )
    return shares[1] > 0.5 and shares[0] > shares[2] + 0.1
