"""Several reward models that are paid by what they agree on are harder to exploit than any one of them.

Paper: arXiv 2110.04135 (Revisiting Design Choices in Offline Model-Based Reinforcement Learning), its penalties
Parent: outcome_rm
Differs: `models` reward models instead of one, each of which leaves out another fold of the tasks; the reward is their mean
    less `strength` times a `penalty` for how far they are apart. From the paper: models of rewards instead of a world's
    dynamics, so no imagined rollouts and no horizon; penalties by definitions of ours, as chances have them. Its Bayesian
    optimisation of the choices is `sharpen tune pessimistic --over models=2..4,strength=0..3,penalty=deviation|range|noise`
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.core import UserError
from sharpen.data import lessons
from sharpen.recipe import Recipe
from sharpen.recipes.rewards import outcome_rm


def recipe(models: int = 3, strength: float = 1.0, penalty: str = "deviation", rm_lr: float = 1e-3) -> Recipe:
    parent = outcome_rm.recipe(rm_lr=rm_lr)
    if models < 1 or strength < 0:
        raise UserError(f"models={models}, strength={strength}: take one model or more, and a strength of 0 or more.")
    if models == 1:
        return parent
    (one,) = parent.roles
    names = [f"reward_{i + 1}" for i in range(models)]
    roles = [replace(one, name=n, teach=partial(lessons.all_but, fold=i, folds=models)) for i, n in enumerate(names)]
    judged = partial(verify.pessimistic, roles=tuple(names), strength=strength, penalty=penalty)
    return replace(parent, verify=judged, roles=tuple(roles))


NEUTRAL = dict(models=1)


def check(made: Recipe) -> bool:
    """Chances 1/2, 1/2, 1/2 are worth 1/2; chances 0.8, 0.5, 0.2 have the same mean, and are worth 0.5 - 0.2449."""
    far = {"reward_1": [1.386294], "reward_2": [0.0], "reward_3": [-1.386294]}
    alike, unsure = (verify.learnt.rehearse(made.verify, "wrong", s) for s in ([0.0], far))
    return abs(alike.reward - 0.5) < 1e-6 and abs(unsure.reward - 0.255051) < 1e-5 and unsure.outcome == "wrong"
