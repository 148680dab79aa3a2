"""Tuning the search matters more than the network that guides it: a prior that needs no learning does, with the right settings.

Paper: arXiv 2411.09238 (rethinking heatmap and MCTS for TSP) and its release (TSP_MCTS.h, tune_mcts)
Parent: grpo
Differs: the student is the tuner: it names the search's settings for each set of cities, and is paid for what they save of a
    nearest-neighbour tour, with the authors' prior as heatmap. From the paper: SMAC3 tunes there, in C++, over 16 instances of
    500 cities and more; here it is an adapter: tours of 15 to 40, a budget of moves, and no restarts
"""

from dataclasses import replace

import numpy as np

from sharpen import tasks
from sharpen.recipe import Recipe
from sharpen.recipes.policy_gradient import grpo
from sharpen.verify import tours


def recipe(tuner: bool = True) -> Recipe:
    parent = grpo.recipe()
    return replace(parent, tasks=tasks.tours, warmup_steps=0) if tuner else parent


NEUTRAL = dict(tuner=False)


def check(made: Recipe) -> bool:
    """A tour never gets longer and stays one; rows of the prior add up to 1; a zero heatmap divides nothing by zero."""
    task = made.tasks().draw(made.tasks().arms[0], "train", 0, 0)
    cities = np.array(task.data["cities"])
    tour = tours.Tour(tours.distances(cities), tours.nearest_neighbour(tours.distances(cities)))
    before = tour.length()
    tours.search(tour, np.zeros((15, 15)), np.random.default_rng(0), h=1, moves=3)
    rows = np.allclose(tours.prior(cities).sum(1), 1)
    return rows and tour.length() <= before and sorted(tour.order) == list(range(15))
