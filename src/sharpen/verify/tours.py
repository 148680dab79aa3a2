"""Round trips: a local search whose settings an answer names, and what they are worth.

The search is the "heatmap and Monte Carlo tree search" of the TSP literature, as its rethinking released it (arXiv 2411.09238):
weights W of edges, chosen counts Q, a potential Z that says which candidate to try, chains of reversals, and back-propagation
on improvement alone. `prior` is the heatmap that needs no learning.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np

from sharpen.core import Task, Verdict
from sharpen.hashing import derive

# How often the edge to the k-th nearest neighbour is in the best tour: measured by the authors, n = 500.
NEAREST = (0.440, 0.256, 0.133, 0.073, 0.041, 0.024, 0.013, 0.008)
SETTINGS = {"H": (2, 5, 10), "candidates": (5, 8, 20), "depth": (10, 50, 100)}
MOVES = 40  # improvements that a search may make: what keeps a verdict short
GOOD = 0.12  # share of the nearest-neighbour tour that has to be saved


def tour(task: Task, response: str) -> Verdict:
    """The reward of settings, such as "H=5 candidates=8 depth=10": the share that the search saves of a nearest-neighbour tour,
    of a fifth; correct from GOOD on. Malformed: a setting is missing, or none of SETTINGS."""
    chosen = {name: int(found[-1]) for name in SETTINGS if (found := re.findall(rf"\b{name}=(\d{{1,4}})\b", response))}
    if any(chosen.get(name) not in allowed for name, allowed in SETTINGS.items()):
        return Verdict("malformed", 0.0, feedback="Say H=…, candidates=… and depth=…, of those that are offered.", rule="tour")
    cities = np.array(task.data["cities"], dtype=np.float64)
    begun = Tour(distances(cities), nearest_neighbour(distances(cities)))
    before = begun.length()
    rng = np.random.default_rng(derive(0, "tour", task.id))
    search(begun, prior(cities), rng, chosen["H"], chosen["candidates"], chosen["depth"])
    saved = 1 - begun.length() / before
    return Verdict("correct" if saved >= GOOD else "wrong", min(max(saved / 0.2, 0.0), 1.0), {"saved": saved}, rule="tour")


def distances(cities: np.ndarray) -> np.ndarray:
    """(n, n) from (n, 2)."""
    return np.sqrt(((cities[:, None] - cities[None]) ** 2).sum(-1))


def prior(cities: np.ndarray) -> np.ndarray:
    """(n, n) heat: NEAREST by rank of the neighbour, each row adding up to 1."""
    d = distances(cities)
    np.fill_diagonal(d, np.inf)
    heat, by = np.zeros_like(d), d.argsort(axis=1)
    for k, share in enumerate(NEAREST[: len(d) - 1]):
        heat[np.arange(len(d)), by[:, k]] = share
    return heat / heat.sum(1, keepdims=True)


def nearest_neighbour(d: np.ndarray) -> list[int]:
    """A tour that always goes on to the nearest city left."""
    order, left = [0], set(range(1, len(d)))
    while left:
        order.append(min(left, key=lambda city: (d[order[-1], city], city)))
        left.remove(order[-1])
    return order


@dataclass
class Tour:
    """A round trip over all cities, and how long its ways are."""

    d: np.ndarray
    order: list[int]
    weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    chosen: np.ndarray = field(default_factory=lambda: np.zeros(0))
    simulations: int = 0

    def length(self) -> float:
        return float(sum(self.d[a, b] for a, b in zip(self.order, self.order[1:] + self.order[:1], strict=True)))


def search(
    tour: Tour,
    heat: np.ndarray,
    rng: np.random.Generator,
    h: int = 5,
    candidates: int = 8,
    depth: int = 10,
    alpha: float = 1.0,
    beta: float = 10.0,
    moves: int = MOVES,
) -> None:
    """Improve a tour until h * n simulations in a row found nothing, or `moves` times. It never gets longer."""
    n = len(tour.order)
    tour.weights, tour.chosen = 100 * heat + 0.0, np.zeros((n, n))
    d = tour.d + np.diag(np.full(n, np.inf))
    near = d.argsort(axis=1)[:, : min(candidates, n - 1)]
    for _ in range(moves):
        if not any(simulation(tour, near, rng, depth, alpha, beta) for _ in range(h * n)):
            return


def simulation(tour: Tour, near: np.ndarray, rng: np.random.Generator, depth: int, alpha: float, beta: float) -> bool:
    """One chain of reversals from a random city, to its first real gain: then that is the tour, its edges count more."""
    tour.simulations += 1
    n, d, before = len(tour.order), tour.d, tour.length()
    at = int(rng.integers(n))
    order = tour.order[at:] + tour.order[:at]
    a, gain, added = order[0], 0.0, []
    for _ in range(depth):
        b = order[1]
        open_ones = [c for c in near[b].tolist() if c not in (a, b, order[2])]
        z = potential(tour, b, open_ones, alpha)
        keep = [i for i, value in enumerate(z) if value >= 1]
        if not keep:
            break
        weight = np.array([z[i] for i in keep])
        c = open_ones[keep[int(rng.choice(len(keep), p=weight / weight.sum()))]]
        tour.chosen[b, c] += 1
        tour.chosen[c, b] += 1
        place = order.index(c)
        after = order[(place + 1) % n]
        gain += d[a, b] + d[c, after] - d[a, c] - d[b, after]
        added += [(a, c), (b, after)]
        order = [a, *order[place:0:-1], *order[place + 1 :]]
        if gain > 1e-9:
            for i, j in added:
                tour.weights[i, j] += beta * (math.exp(gain / before) - 1)
                tour.weights[j, i] = tour.weights[i, j]
            tour.order = order
            return True
    return False


def potential(tour: Tour, city: int, others: list[int], alpha: float) -> list[float]:
    """W / mean W + alpha sqrt(ln(M + 1) / (Q + 1)) of each; a city without any heat has the second part alone."""
    mean = float(tour.weights[city].mean()) or 1.0
    drive = math.log(tour.simulations + 1)
    return [tour.weights[city, c] / mean + alpha * math.sqrt(drive / (tour.chosen[city, c] + 1)) for c in others]
