"""Criteria shown while it explores, and taken away by and by, bring a student to answers that it would never have tried.

Paper: RuscaRL (Breaking the Exploration Bottleneck), rewards and schedule as released: t0 0.2, steepness 125
Parent: grpo
Differs: rollout i of n sees (n - 1 - i) / (n - 1) of the criteria, fewer with time; none of it stands in what is learnt, where
    the log-probabilities are measured anew; half of the reward are the criteria's points. From the paper: without a rubric of
    its own a task's criteria are the steps of its worked solution, found by rule; an answer that can be verified keeps its own
    verdict
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import rollouts, verify
from sharpen.data import hints
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo


def recipe(
    until: float = 0.2, sharpness: float = 125.0, share: float = 0.5, learnt: str = "absent", shown: bool = True
) -> Recipe:
    parent = grpo.recipe()
    if not shown:
        return parent
    scaffold = partial(rollouts.hints.shown, what="rubric", share=1.0, until=until, sharpness=sharpness, learnt=learnt)
    return replace(parent, rollout=scaffold, verify=partial(verify.by_criteria, share=share))


NEUTRAL = dict(shown=False)


def check(made: Recipe) -> bool:
    """At t0 the first rollout sees half of the criteria, the last one never any; after a quarter of the budget nobody does."""
    at = [hints.graded(hints.fading(p, 0.2, 125.0), (i, 8)) for p, i in ((0.2, 0), (0.2, 7), (0.26, 0))]
    points = verify.scaffolds.points([{"weight": 3}, {"weight": 1}, {"weight": -2}], [1, 0, 1])
    return bool(np.allclose(at, [0.5, 0, 0], atol=1e-3)) and points == 0.25
