"""A reward model that compares the answers to one question ranks right above wrong ones without knowing how hard it was.

Paper: arXiv 2203.02155 (InstructGPT), equation 1
Parent: outcome_rm
Differs: Bradley-Terry between right and wrong answers of a group, instead of each by itself. From the paper: the verifier says
    which is better, not a person, and all pairs of a group are taken, not C(K, 2) of a ranking
"""

from dataclasses import replace
from typing import Any

from sharpen.data import lessons
from sharpen.objectives import rewards
from sharpen.recipe import Recipe
from sharpen.recipes.rewards import outcome_rm


def recipe(compare: bool = True, **knobs) -> Recipe:
    parent = outcome_rm.recipe(**knobs)
    roles = tuple(replace(r, objective=rewards.prefer, teach=lessons.preferences) for r in parent.roles)
    return replace(parent, roles=roles) if compare else parent


NEUTRAL = dict(compare=False)


def check(made: Recipe) -> bool:
    """By hand: scores 2 and 0 of a better and a worse answer cost log(1 + e^-2) = 0.1269; alike they cost log 2."""
    import torch

    role: Any = made.roles[0]
    told = rewards.Taught(torch.tensor([[1.0], [0.0]]), torch.ones(2, 1, dtype=torch.bool), torch.tensor([0, 0]), torch.ones(2))
    costs = [float(role.objective()(torch.tensor([[s], [0.0]]), told).sum()) for s in (2.0, 0.0)]
    return abs(costs[0] - 0.126928) < 1e-5 and abs(costs[1] - 0.693147) < 1e-5
