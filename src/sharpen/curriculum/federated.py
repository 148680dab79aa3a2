"""Curricula among simulated clients: tasks are dealt to clients unevenly, and clients and their tasks are taken easy first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, UserError
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, allot, dealt, lowest
from sharpen.curriculum.orders import pace
from sharpen.hashing import derive


def owners(attempts: Attempts, clients: int, alpha: float) -> np.ndarray:
    """(N,) the client that each task lies with: each arm's tasks are dealt by shares drawn from Dirichlet(alpha, …, alpha).

    A small alpha leaves most of an arm to one client, a large one gives all the same mixture. It follows from the run's seed.
    """
    found = np.zeros(len(attempts), np.int64)
    for block, (start, end) in enumerate(zip(attempts.starts[:-1], attempts.starts[1:], strict=True)):
        rng = np.random.default_rng(derive(attempts.seed, 0, "clients", block))
        edges = np.cumsum(rng.dirichlet(np.full(clients, alpha)))
        found[start:end] = np.minimum(np.searchsorted(edges, rng.random(int(end - start))), clients - 1)
    return found


def losses(attempts: Attempts) -> np.ndarray:
    """(N,) how hard each task is to the present student: the share of its tries that failed, faded; of one that was never
    tried, its level as a share of the highest."""
    n, right = attempts.faded
    known = 1 - np.divide(right, n, out=np.zeros_like(right), where=n > 0)
    return np.where(n > 0, known, (attempts.level + 1) / (attempts.level.max(initial=0) + 1))


def among_clients(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    clients: int = 10,
    active: int = 4,
    alpha: float = 0.2,
    begin: float = 0.3,
    hard_first: bool = False,
    *,
    attempts: Attempts,
    progress: float,
) -> Choices:
    """Curricula in federated learning (ICCV 2023): a step is a round of `active` clients, each with the same number of prompts.

    Of the clients the share pace(progress) with the lowest loss may be taken, and of each client's tasks the same share, those
    it fails least; both grow from `begin` to all. One gradient step a round on the clients' batches together is federated
    averaging of one local step each. begin=1: no curriculum, clients and tasks at random. hard_first: from the other end.
    """
    if not (clients >= active >= 1 and alpha > 0 and 0 < begin <= 1):
        raise UserError(
            f"among_clients needs clients >= active >= 1, alpha > 0 and 0 < begin <= 1: {clients}, {active}, {alpha}"
        )
    owner, share = owners(attempts, clients, alpha), pace(progress, begin)
    hard = losses(attempts) * (-1 if hard_first else 1)
    there = np.unique(owner)
    mean = np.array([hard[owner == c].mean() for c in there])
    open_to = there[lowest(mean + 1e-9 * rng.random(len(there)), max(round(share * len(there)), min(active, len(there))))]
    taking = rng.permutation(open_to)[: min(active, prompts)]
    chosen = []
    for client, n in zip(taking, allot(np.ones(len(taking)), prompts), strict=True):
        own = np.flatnonzero(owner == client)
        easy = own[lowest(hard[own] + 1e-9 * rng.random(len(own)), max(round(share * len(own)), min(int(n), len(own))))]
        chosen.append(rng.permutation(easy)[: int(n)])
    return dealt(attempts, np.concatenate(chosen), prompts * samples)
