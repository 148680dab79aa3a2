"""Easy clients and easy tasks first: what clients that differ would undo in each other is undone less.

Paper: When Do Curricula Work in Federated Learning? (ICCV 2023), README: Dirichlet 0.2, linear pacing, curricula on data and
    on clients
Parent: uniform
Differs: clients are simulated: the pool is dealt to them unevenly, and a step is a round of some of them. From the paper: one
    local step a round, whose averaged weights are those of one step on the clients' batches; the loss is the share of tries
    that fail
"""

from dataclasses import replace
from functools import partial

import numpy as np

from sharpen import curriculum
from sharpen.curriculum import Attempts, testbed
from sharpen.recipe import Recipe
from sharpen.recipes.curriculum import uniform


def recipe(clients: int = 10, active: int = 4, alpha: float = 0.2, begin: float = 0.3) -> Recipe:
    parent = uniform.recipe()
    among = partial(curriculum.among_clients, clients=clients, active=active, alpha=alpha, begin=begin)
    return replace(parent, curriculum=among) if clients > 1 else parent


NEUTRAL = dict(clients=1, active=1)


def check(made: Recipe) -> bool:
    """The smaller alpha, the more clients differ; and the easy arm is met more in the first third than in the last."""
    world = testbed.Bandit((-2, 0, 2, 4), rate=0, tasks=100)

    def apart(alpha: float) -> float:
        owner = curriculum.federated.owners(Attempts(world.source, 0, 100), 5, alpha).reshape(4, 100)
        shares = np.array([np.bincount(row, minlength=5) / 100 for row in owner])
        return float(shares.std(axis=0).mean())

    shares = testbed.run(made.curriculum, world, steps=30, prompts=8, samples=4).shares()
    return apart(0.1) > apart(1.0) > apart(100.0) and shares[:10, 0].mean() > shares[20:, 0].mean() + 0.1
