"""Whom to change next, and whom to try again: an archive of recipes that descend from one another.

DGM: Zhang et al., "Darwin Gödel Machine", arXiv 2505.22954: a parent is drawn in proportion to sigmoid(10 (score - 0.5)) / (1 +
children). HGM: Wang et al., "Huxley-Gödel Machine", arXiv 2510.21614: what counts is not a node's own score but its clade's
metaproductivity, the successes of it and all its descendants; Thompson sampling on clades chooses whom to change, on nodes whom
to try once more, and there are as many nodes as N^0.6 after N trials.

A trial here is one run with a fresh seed, and its outcome, from 0 to 1, is how surely it beat the root's run of that seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

ALPHA = 0.6  # of HGM: nodes grow as trials^0.6
STEEP = 10.0  # of DGM's sigmoid
BELIEF = 0.01  # HGM's epsilon, "percent level" in the notes on the paper: the quantile by which the last choice is made


@dataclass(frozen=True)
class Node:
    """A member: who it came from (None: the root), and the outcomes of its trials, 1 won and 0 lost."""

    number: int
    parent: int | None
    outcomes: tuple[float, ...] = ()

    @property
    def won(self) -> float:
        return sum(self.outcomes)

    @property
    def lost(self) -> float:
        return len(self.outcomes) - self.won

    @property
    def score(self) -> float:
        """Mean outcome; 0.5, as good as the root, before anything is known."""
        return self.won / len(self.outcomes) if self.outcomes else 0.5


@dataclass(frozen=True)
class Archive:
    """Members by number; those that failed are no members."""

    nodes: Mapping[int, Node] = field(default_factory=dict)

    def children(self, number: int) -> list[int]:
        return [n.number for n in self.nodes.values() if n.parent == number]

    def clade(self, number: int) -> list[Node]:
        """A node and all its descendants."""
        found, open_ = [], [number]
        while open_:
            found.append(self.nodes[open_.pop()])
            open_ += self.children(found[-1].number)
        return found

    def productivity(self, number: int) -> float:
        """Clade metaproductivity, estimated: the share of all trials of a clade that were won; 0.5 without any."""
        won, lost = counts(self.clade(number))
        return won / (won + lost) if won + lost else 0.5


def counts(nodes: Sequence[Node]) -> tuple[float, float]:
    return sum(n.won for n in nodes), sum(n.lost for n in nodes)


def grows(archive: Archive, trials: int) -> bool:
    """HGM: whether to change somebody rather than to try somebody again: N^0.6 >= members other than the root."""
    return trials**ALPHA >= len(archive.nodes) - 1


def temperature(budget: int, spent: int) -> float:
    """tau = B / (B - t): the draws grow greedier as the budget is spent."""
    return budget / max(budget - spent, 1)


def thompson(pairs: Mapping[int, tuple[float, float]], tau: float, rng: Generator) -> int:
    """argmax of draws from Beta(tau (1 + won), tau (1 + lost)); of equals the first."""
    drawn = {n: rng.beta(tau * (1 + won), tau * (1 + lost)) for n, (won, lost) in pairs.items()}
    return max(drawn, key=lambda n: (drawn[n], -n))


def by_hgm(archive: Archive, tau: float, rng: Generator) -> int:
    """Thompson sampling on clades, of nodes with some success; the root is always one."""
    open_ = [n for n in archive.nodes.values() if n.won > 0 or n.parent is None]
    return thompson({n.number: counts(archive.clade(n.number)) for n in open_}, tau, rng)


def by_dgm(archive: Archive, tau: float, rng: Generator) -> int:
    """In proportion to `weights`. tau is not asked."""
    found = weights(archive)
    numbers = list(found)
    shares = np.array([found[n] for n in numbers])
    return int(rng.choice(numbers, p=shares / shares.sum()))


def weights(archive: Archive) -> dict[int, float]:
    """DGM: sigmoid(10 (score - 0.5)) / (1 + children)."""
    return {
        n.number: 1 / (1 + math.exp(-STEEP * (n.score - 0.5))) / (1 + len(archive.children(n.number)))
        for n in archive.nodes.values()
    }


def by_greed(archive: Archive, tau: float, rng: Generator) -> int:
    """Whoever has the highest score of its own: the control."""
    return max(archive.nodes.values(), key=lambda n: (n.score, -n.number)).number


PARENTS = {"hgm": by_hgm, "dgm": by_dgm, "greedy": by_greed}


def again(archive: Archive, tau: float, rng: Generator) -> int | None:
    """Whom to try once more: Thompson sampling on the nodes' own outcomes. The root is what all are held against, so never it;
    None where it is alone."""
    pairs = {n.number: (n.won, n.lost) for n in archive.nodes.values() if n.parent is not None}
    return thompson(pairs, tau, rng) if pairs else None


def chosen(archive: Archive, belief: float = BELIEF) -> int:
    """The member with the highest `belief` quantile of Beta(1 + won, 1 + lost): good, and known to be. The root stands for even
    odds as surely as anything is known: its quantile is that of as many trials, half won, as the best known member has."""
    most = max((len(n.outcomes) for n in archive.nodes.values()), default=0)
    quantiles = {}
    for n in archive.nodes.values():
        won, lost = (most / 2, most / 2) if n.parent is None else (n.won, n.lost)
        quantiles[n.number] = beta_quantile(1 + won, 1 + lost, belief)
    return max(quantiles, key=lambda n: (quantiles[n], -n))


def beta_quantile(a: float, b: float, p: float) -> float:
    """x with I_x(a, b) = p, by bisection."""
    import mpmath

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        below = float(mpmath.betainc(a, b, 0, middle, regularized=True)) < p
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2
