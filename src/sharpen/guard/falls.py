"""Whether skills fell, by many evaluations of the same tasks: at once, or little by little.

Each arm's latest evaluations, 1, 2, 4 or 8 of them, are held against as many before those. One round against the next sees a
fall at once, eight against eight see one of half a point a round.

A task that is solved T times in m + k evaluations would, were nothing different, be solved in the first m of them as often as
a hypergeometric variable says: mean T m / (m + k), variance m k T (m + k - T) / ((m + k)^2 (m + k - 1)). Summed over tasks
this is the test of Mantel and Haenszel (JNCI 22, 1959) with a stratum for each task; with m = k = 1 it is McNemar's. A task
that is always or never solved says nothing, so that an arm that is solved wholly, or not at all, causes no alarm by itself.

Where skills themselves go up and down from round to round, as those of a real model do, falls are larger than the chance of
tasks makes them. How much larger is seen in the falls of all arms so far (`wobble`), and taken off: the overdispersion of a
quasi-likelihood (McCullagh and Nelder, Generalized Linear Models, 1989, section 4.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from sharpen.core import Arm, Evaluation

SPANS = (1, 2, 4, 8)  # evaluations that are put together
NORMAL = NormalDist()
ENOUGH = 12  # falls from one round to the next, from which it is known how large they are usually


@dataclass(frozen=True)
class Fall:
    """The comparison that speaks most for a fall of an arm, or of all arms together (`arm` is None).

    z       standard errors that it fell by; 0 where nothing fell
    size    the fall of the accuracy, between the evaluations that were compared
    rounds  how many of the latest evaluations are below those before
    usual   how many times as large as by chance falls were so far; the standard errors are so much larger
    """

    arm: Arm | None
    z: float
    size: float
    rounds: int
    usual: float = 1.0

    @property
    def p(self) -> float:
        """The chance of a z as large if nothing is different."""
        return NORMAL.cdf(-self.z)

    @property
    def told(self) -> str:
        over = f" in the last {self.rounds} rounds" if self.rounds > 1 else ""
        beside = f", where falls are {self.usual:.1f} times as large as by chance" if self.usual > 1.05 else ""
        return f"{self.size:.1%}{over}, more than chance does ({self.z:.1f} standard errors{beside})"


def falls(history: Sequence[Evaluation], since: int = 2**31) -> tuple[Fall, list[Fall]]:
    """Of all arms together, each counted the same, and of each of them, from evaluations of the same tasks, oldest first.

    since  only falls within so many of the latest rounds

    Tasks that could not be judged are left out of what they are missing in. Raises ValueError for fewer than two evaluations,
    or where they differ in arms or tasks.
    """
    if len(history) < 2:
        raise ValueError("a fall takes two evaluations to see, and there are fewer")
    history, arms = history[-2 * max(SPANS) :], sorted(history[0].correct)
    solved, known = counts(history, arms)
    sums, seen = np.cumsum(solved, axis=0), np.cumsum(known, axis=0)
    last, usual = len(history), wobble(solved[1:-1], known[1:-1])
    whole, each = Fall(None, 0.0, 0.0, 1, usual), [Fall(arm, 0.0, 0.0, 1, usual) for arm in arms]
    for k in (k for k in SPANS if k < last and k <= since):
        for m in dict.fromkeys(min(m, last - k) for m in SPANS):
            early = sums[last - k] - sums[last - k - m], seen[last - k] - seen[last - k - m]
            late = sums[last] - sums[last - k], seen[last] - seen[last - k]
            z, size, all_z, all_size = compared(*early, *late)
            z, all_z = z / usual, all_z / usual
            each = [Fall(f.arm, float(z[i]), float(size[i]), k, usual) if z[i] > f.z else f for i, f in enumerate(each)]
            whole = Fall(None, all_z, all_size, k, usual) if all_z > whole.z else whole
    return whole, each


def counts(history: Sequence[Evaluation], arms: Sequence[Arm]) -> tuple[np.ndarray, np.ndarray]:
    """(rounds + 1, arms, tasks) each, the first of zeros: whether a task was solved, and whether it was judged at all."""
    if len({tuple((arm, len(e.correct[arm])) for arm in sorted(e.correct)) for e in history}) > 1:
        raise ValueError("the evaluations differ in arms or tasks, so that they cannot be compared")
    most = max(len(history[0].correct[arm]) for arm in arms)
    told = np.full((len(history) + 1, len(arms), most), np.nan)
    for t, evaluation in enumerate(history, 1):
        for i, arm in enumerate(arms):
            own = evaluation.correct[arm]
            told[t, i, : len(own)] = np.array(own, dtype=float)  # None, not judged, is nan
    return np.nan_to_num(told), np.isfinite(told).astype(float)


def wobble(solved: np.ndarray, known: np.ndarray) -> float:
    """How many times as large as chance alone makes them the falls of arms from one evaluation to the next are, at least 1.

    solved, known  (rounds, arms, tasks) of the evaluations before the one that is judged, so that a harm does not excuse itself

    Of each round the square of what arms fell by is held against its variance, summed over the arms that fell and half of those
    that did neither, which by chance is 1; of the rounds the median counts, which one harm does not move. 1 where fewer than
    ENOUGH falls were seen.
    """
    shares, n = [], 0
    for t in range(1, len(solved)):
        excess, variance, _ = excesses(solved[t - 1], known[t - 1], solved[t], known[t])
        weight = np.where(excess > 0, 1.0, np.where(excess == 0, 0.5, 0.0))
        n += int((excess > 0).sum())
        if (expected := float((weight * variance).sum())) > 0:
            shares.append(float((weight * excess**2).sum()) / expected)
    return math.sqrt(max(1.0, float(np.median(shares)))) if n >= ENOUGH else 1.0


def excesses(
    right: np.ndarray, tries: np.ndarray, later_right: np.ndarray, later_tries: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each arm how many more tasks were solved at first than chance explains, the variance of that, and (arms, tasks) which
    were judged on both sides; all four arrays are (arms, tasks) counts."""
    both = (tries > 0) & (later_tries > 0)
    m, k = np.where(both, tries, 1), np.where(both, later_tries, 1)
    total, n = right + later_right, m + k
    excess = np.where(both, right - total * m / n, 0.0).sum(axis=1)
    variance = np.where(both, m * k * total * (n - total) / (n * n * (n - 1.0)), 0.0).sum(axis=1)
    return excess, variance, both


def compared(
    right: np.ndarray, tries: np.ndarray, later_right: np.ndarray, later_tries: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """z and size of each arm's fall, then of the mean over arms; all four arrays are (arms, tasks) counts.

    One half is taken off the sum: a correction for continuity, without which few tasks would say too much. 3 of 3 changed tasks
    lost is a z of (3/2 - 1/2) / sqrt(3/4) = 1.15, 12 of 12 are 3.18.
    """
    excess, variance, both = excesses(right, tries, later_right, later_tries)
    tasks = np.maximum(both.sum(axis=1), 1)
    size = np.where(both, right / np.maximum(tries, 1) - later_right / np.maximum(later_tries, 1), 0.0).sum(axis=1) / tasks
    z = np.where(variance > 0, (excess - 0.5) / np.sqrt(np.maximum(variance, 1e-12)), 0.0)
    weight = both.any(axis=1) / tasks
    spread = math.sqrt(float((weight**2 * variance).sum()))
    whole = float((weight * excess).sum() - 0.5 * weight.max(initial=0.0)) / spread if spread else 0.0
    return z, size, whole, float(size[both.any(axis=1)].mean()) if both.any() else 0.0
