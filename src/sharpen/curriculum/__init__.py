"""Curricula: which arms or tasks the next step's prompts come from, and how many rollouts each gets.

A curriculum is a pure function (history, arms, prompts, samples, rng) -> [(arm or task, rollouts), …].

1. `history` maps an arm to its latest `ArmStats`, oldest first; arms never tried may be missing. Only training rollouts are
   in it. What else there is, a curriculum asks for by name (loop/offers.py): validation results only ever as `evaluations`.
2. The same arguments and generator state give the same answer, and the order in which arms are listed does not matter.
3. The rollouts add up to prompts * samples, for however many prompts; 0 leaves a prompt out.
4. No arms, knobs out of range, or weights that are not numbers raise UserError; statistics that are not numbers raise
   ValueError and name the arm.

schedule.py follows a plan, bandit.py what training shows, mixture.py what validation shows; pool.py, value_model.py and
ridge.py choose single tasks, orders.py by how difficult somebody says they are, clusters.py, similarity.py and latent.py by
where they lie, gates.py by who solves them, budget.py how often each is tried; gaussians.py works on task parameters,
federated.py has clients. guided.py helps where nothing succeeds, or keeps to a part of the arms. earlier.py reads the stores
of other runs; effects.py and agents.py learn from them.

May import: data, objectives, store.
"""

from sharpen.curriculum import agents, earlier, effects, federated, latent, orders, ridge, similarity, state, testbed
from sharpen.curriculum.agents import allocated, mixing_agent
from sharpen.curriculum.attempts import Attempts, trainable
from sharpen.curriculum.bandit import dump, learning_progress, sec, thompson, values
from sharpen.curriculum.budget import cures, exact, greedy, knapsack, knapsack_quota, undecided, value
from sharpen.curriculum.clusters import clustered, fitting
from sharpen.curriculum.common import History, allot, dealt, draw, lowest, posterior, statistics, weighted
from sharpen.curriculum.earlier import again
from sharpen.curriculum.effects import estimated
from sharpen.curriculum.federated import among_clients
from sharpen.curriculum.gates import gated
from sharpen.curriculum.gaussians import alp_gmm
from sharpen.curriculum.guided import few, laddered, only
from sharpen.curriculum.latent import clutr
from sharpen.curriculum.mixture import missing_skills, mixing, next_level, omni, outgrown, skill_it
from sharpen.curriculum.orders import in_turn, paced, phased
from sharpen.curriculum.pool import cyclical, epochs, pools, recovered, retrospective, views
from sharpen.curriculum.ridge import analytic, error_memory
from sharpen.curriculum.schedule import adaptive_order, ladder, threshold_ladder, uniform
from sharpen.curriculum.similarity import by_angle, designer
from sharpen.curriculum.state import State
from sharpen.curriculum.value_model import pcl
from sharpen.estimate import interval

__all__ = [
    "adaptive_order",
    "again",
    "agents",
    "among_clients",
    "allocated",
    "allot",
    "analytic",
    "alp_gmm",
    "Attempts",
    "by_angle",
    "clustered",
    "clutr",
    "cures",
    "cyclical",
    "dealt",
    "designer",
    "draw",
    "dump",
    "earlier",
    "effects",
    "epochs",
    "error_memory",
    "estimated",
    "exact",
    "few",
    "federated",
    "fitting",
    "gated",
    "greedy",
    "History",
    "in_turn",
    "interval",
    "knapsack",
    "knapsack_quota",
    "ladder",
    "laddered",
    "latent",
    "learning_progress",
    "lowest",
    "missing_skills",
    "mixing",
    "mixing_agent",
    "next_level",
    "omni",
    "only",
    "orders",
    "outgrown",
    "paced",
    "pcl",
    "pools",
    "phased",
    "posterior",
    "recovered",
    "retrospective",
    "ridge",
    "sec",
    "similarity",
    "skill_it",
    "State",
    "state",
    "statistics",
    "testbed",
    "thompson",
    "threshold_ladder",
    "trainable",
    "uniform",
    "undecided",
    "value",
    "values",
    "views",
    "weighted",
]
