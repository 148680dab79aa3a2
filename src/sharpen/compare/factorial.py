"""Several experiments in one run: does any of them change another's outcome?

"Train Once, Answer All: Many Pretraining Experiments for the Cost of One", arXiv 2509.23383: each experiment replaces its own
small slice of the data and has its own metric. Before they are joined, short runs with one at a time tell whether E_j moves
E_i's metric: the matrix D_ij = Y_i with j - Y_i with none; where no off-diagonal one is significant among n (n - 1), they may
share a run. In a comparison of settings (`sharpen compare grpo grpo:A grpo:B grpo:A:B`) what two changes do together is set
against what each does alone: `crossings`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sharpen.compare.paired import holm, student_p

LEVEL = 0.05


@dataclass(frozen=True)
class Interaction:
    """How experiment `cause` moves the metric of `of`: by `change`, with a p-value corrected for all pairs."""

    of: str
    cause: str
    change: float
    p: float

    @property
    def shown(self) -> bool:
        return self.p < LEVEL


def interactions(alone: Mapping[str, Mapping[str, Sequence[float]]], none: Mapping[str, Sequence[float]]) -> list[Interaction]:
    """Every pair of different experiments, the surest first.

    alone  alone[cause][of]: the metric of `of` in runs with only `cause`, one value a seed
    none   none[of]: the same without any, of the same seeds; ValueError for other numbers of seeds, or fewer than two
    """
    raw = []
    for cause, metrics in alone.items():
        for of, values in metrics.items():
            if of != cause:
                raw.append((of, cause, *tested(values, none[of])))
    corrected = holm([p for *_, p in raw])
    found = [Interaction(of, cause, change, p) for (of, cause, change, _), p in zip(raw, corrected)]
    return sorted(found, key=lambda i: i.p)


@dataclass(frozen=True)
class Crossing:
    """Two changes: `together` is what both do beyond the sum of what each does alone, p corrected for all pairs."""

    one: str
    other: str
    both: str
    together: float
    p: float

    @property
    def says(self) -> str:
        told = f"{self.both} is {100 * self.together:+.1f} points beside the sum of what {self.one} and {self.other} do alone"
        return f"{told} (p = {self.p:.2g}): {'they interact' if self.p < LEVEL else 'no interaction is shown'}."


def crossings(made: Mapping[str, tuple[str, frozenset[str]]], values: Mapping[str, Sequence[float]]) -> list[Crossing]:
    """Every pair of changes of which both, each, and neither were tried, the surest first.

    made    by name, what it starts from and its settings
    values  by name, one a seed, of the same seeds; who has none is left out, and so is all where there are fewer than two seeds
    """
    known = {made[name]: name for name in made if len(values.get(name, ())) > 1}
    raw: list[tuple[str, str, str, float, float]] = []
    for (recipe, a), (same, b) in combinations(known, 2):
        four = [known[recipe, settings] for settings in (a, b, a | b, a & b) if (recipe, settings) in known]
        if recipe == same and len(four) == 4 and not (a <= b or b <= a):
            one, other, both, neither = (np.asarray(values[name], float) for name in four)
            raw.append((four[0], four[1], four[2], *tested((both - neither).tolist(), (one + other - 2 * neither).tolist())))
    corrected = holm([p for *_, p in raw])
    return sorted((Crossing(*row[:4], p) for row, p in zip(raw, corrected)), key=lambda c: c.p)


def tested(values: Sequence[float], base: Sequence[float]) -> tuple[float, float]:
    """(mean difference, two-sided p of Student's paired t)."""
    if len(values) != len(base) or len(values) < 2:
        raise ValueError(f"{len(values)} and {len(base)} seeds cannot be paired: two or more of the same are needed")
    d = np.asarray(values, float) - np.asarray(base, float)
    error = float(d.std(ddof=1)) / math.sqrt(len(d))
    change = float(d.mean())
    return change, student_p(change / error, len(d) - 1) if error else float(not change)


def joint(alone: Mapping[str, Sequence[float]], together: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """By experiment the corrected p-value of its metric in the joint run being another than alone: what has to be large."""
    names = list(alone)
    ps = holm([tested(together[name], alone[name])[1] for name in names])
    return dict(zip(names, ps))


def exposure(frequency: float, measured: float, target: float, gain: float) -> float:
    """How often a fact is shown next: frequency + gain (target - measured), never below 0. The paper's controller of how much
    exposure a fact needs. With a slope s of measured by frequency it converges for gain * s < 2, without overshoot below 1."""
    return max(frequency + gain * (target - measured), 0.0)
