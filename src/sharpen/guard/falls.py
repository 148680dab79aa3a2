"""Whether skills fell, by many evaluations of the same tasks: at once, or little by little.

Each arm's latest evaluations, 1, 2, 4 or 8 of them, are held against as many before those. One round against the next sees a
fall at once, eight against eight see one of half a point a round.

A task that is solved T times in m + k evaluations would, were nothing different, be solved in the first m of them as often as
a hypergeometric variable says: mean T m / (m + k), variance m k T (m + k - T) / ((m + k)^2 (m + k - 1)). Summed over tasks
this is the test of Mantel and Haenszel (JNCI 22, 1959) with a stratum for each task; with m = k = 1 it is McNemar's. A task
that is always or never solved says nothing, so that an arm that is solved wholly, or not at all, causes no alarm by itself.
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


@dataclass(frozen=True)
class Fall:
    """The comparison that speaks most for a fall of an arm, or of all arms together (`arm` is None).

    z       standard errors that it fell by; 0 where nothing fell
    size    the fall of the accuracy, between the evaluations that were compared
    rounds  how many of the latest evaluations are below those before
    """

    arm: Arm | None
    z: float
    size: float
    rounds: int

    @property
    def p(self) -> float:
        """The chance of a z as large if nothing is different."""
        return NORMAL.cdf(-self.z)

    @property
    def told(self) -> str:
        over = f" in the last {self.rounds} rounds" if self.rounds > 1 else ""
        return f"{self.size:.1%}{over}, more than chance does ({self.z:.1f} standard errors)"


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
    last = len(history)
    whole, each = Fall(None, 0.0, 0.0, 1), [Fall(arm, 0.0, 0.0, 1) for arm in arms]
    for k in (k for k in SPANS if k < last and k <= since):
        for m in dict.fromkeys(min(m, last - k) for m in SPANS):
            early = sums[last - k] - sums[last - k - m], seen[last - k] - seen[last - k - m]
            late = sums[last] - sums[last - k], seen[last] - seen[last - k]
            z, size, all_z, all_size = compared(*early, *late)
            each = [Fall(f.arm, z[i], size[i], k) if z[i] > f.z else f for i, f in enumerate(each)]
            whole = Fall(None, all_z, all_size, k) if all_z > whole.z else whole
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


def compared(
    right: np.ndarray, tries: np.ndarray, later_right: np.ndarray, later_tries: np.ndarray
) -> tuple[list[float], list[float], float, float]:
    """z and size of each arm's fall, then of the mean over arms; all four arrays are (arms, tasks) counts.

    One half is taken off the sum: a correction for continuity, without which few tasks would say too much. 3 of 3 changed tasks
    lost is a z of (3/2 - 1/2) / sqrt(3/4) = 1.15, 12 of 12 are 3.18.
    """
    both = (tries > 0) & (later_tries > 0)
    m, k = np.where(both, tries, 1), np.where(both, later_tries, 1)
    total, n = right + later_right, m + k
    excess = np.where(both, right - total * m / n, 0.0).sum(axis=1)
    variance = np.where(both, m * k * total * (n - total) / (n * n * (n - 1.0)), 0.0).sum(axis=1)
    tasks = np.maximum(both.sum(axis=1), 1)
    size = np.where(both, right / m - later_right / k, 0.0).sum(axis=1) / tasks
    z = np.where(variance > 0, (excess - 0.5) / np.sqrt(np.maximum(variance, 1e-12)), 0.0)
    weight = both.any(axis=1) / tasks
    spread = math.sqrt(float((weight**2 * variance).sum()))
    whole = float((weight * excess).sum() - 0.5 * weight.max(initial=0.0)) / spread if spread else 0.0
    return z.tolist(), size.tolist(), whole, float(size[both.any(axis=1)].mean()) if both.any() else 0.0
