"""Easy tasks first, harder ones by the clock: what is learnt low on the ladder carries the next rung.

Paper: Bengio et al. 2009 (Curriculum learning, ICML), section 3; as a schedule of levels, E2H Reasoner (arXiv 2506.06632)
Parent: grpo
Differs: each family climbs its own levels, an equal share of the budget each, until `until` of it; then all levels are
    practised; a share `review` of the prompts goes to every arm throughout
Status: reproduced on a toy: python -m pytest tests/curriculum/test_curricula.py -k ladder (on the bandit's hardest level +33.3
    points against uniform, 95 % 22.5 to 44.1, ten seeds; nothing on a level that nothing carries over to)
Tried: sharpen compare quickstart:adaptive=false quickstart
    quickstart:curriculum={dump,learning_progress,thompson,omni,ladder,mixing,alp_gmm,cures} --budget 3m --seeds 3 (three
    minutes a run: in quickstart no difference to even practice shown, -0.9 points, -1.9 to 0.0; with rft instead of it, -2.1
    points, -4.2 to 0.0)
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import testbed
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(until: float = 0.8, review: float = 0.1, **knobs) -> Recipe:
    parent = grpo.recipe(**knobs)
    return replace(parent, curriculum=partial(curriculum.ladder, until=until, review=review)) if review < 1 else parent


NEUTRAL = dict(review=1.0)


def check(made: Recipe) -> bool:
    """On four levels each has its fifth of the budget, in order; in the last fifth all are practised alike."""
    shares = testbed.run(made.curriculum, testbed.Bandit(), steps=100, prompts=40).shares()
    favourite = [shares[i : i + 20].mean(axis=0).argmax() for i in range(0, 80, 20)]
    return favourite == [0, 1, 2, 3] and np.allclose(shares[80:], 0.25)
