"""Is one method better than another? Differences paired by seed and by task, with 95 % intervals and p-values.

Runs of one seed share their tasks and their start, so a difference is taken within a seed, task by task. Chance enters twice:

1. Training has luck, another one with every seed, and so has the choice of a seed's tasks. Only repetition covers both: the
   seed is the unit, and Student's t on the differences of S seeds is exact where these are normal, whatever their variance.
2. The choice of tasks alone is known far better, from thousands of them: z with a variance of (sum of d^2 + 1) / (n + 2)^2 in
   each arm: McNemar's, what it would be if nothing were different, with half a task added to each of the four cells as in
   `estimate.change`, so that a few tasks which happen to agree are not taken for certainty.

The interval is the wider, and p the larger, of the two: three seeds that agree by luck do not make 0.1 points certain, and no
number of tasks makes up for a single seed. With one seed only (2) is left, which says nothing about training's luck.

Not taken: flipping the signs of 3 seeds has 8 outcomes, so p would never be below 0.25; permuting or resampling tasks within
seeds takes luck for an effect (in test_paired.py nearly half of all pairs that differ in luck alone are told apart so); one
variance pooled over all methods has more degrees of freedom, and is wrong for just that method whose training is unstable.

What seeds can see: of gains as large as this many standard deviations of the seeds' differences, four in five are found.

    seeds               3     4     5     6     8    10
    one comparison    3.3   2.1   1.7   1.4   1.2   1.0
    eight             9.3   4.4   3.0   2.3   1.7   1.4

Several methods against one: Holm's step-down (1979), which holds the chance of even one false claim at 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import mpmath
import numpy as np

from sharpen.core import Arm, Evaluation
from sharpen.estimate import Estimate, Z, mean, share

Scores = Mapping[Arm, np.ndarray]  # of one run: a value between 0 and 1 for each task, in order; NaN where it was not judged


@dataclass(frozen=True)
class Difference:
    """A mean difference, between low and high with 95 % certainty; p is two-sided, for no difference; n tasks, all seeds."""

    value: float
    low: float
    high: float
    p: float
    n: int


def scores(evaluation: Evaluation) -> Scores:
    """1 for a task that was solved, 0 for one that was not."""
    return {arm: np.array([math.nan if c is None else float(c) for c in tasks]) for arm, tasks in evaluation.correct.items()}


def value(one: Scores) -> float:
    """Mean over arms of the mean over an arm's judged tasks, as `Evaluation.accuracy`; NaN where none was judged."""
    return float(np.mean(_means(one))) if _means(one) else math.nan


def level(runs: Sequence[Scores]) -> Estimate | None:
    """The mean over seeds, with its interval: by seeds (Student's t) and by tasks (Wilson's, joined as in estimate.py), the
    wider of both. None where nothing was judged."""
    judged = [[tasks[~np.isnan(tasks)] for tasks in one.values()] for one in runs]
    by_task = mean([mean([share(float(t.sum()), len(t)) for t in one if len(t)]) for one in judged])
    if by_task is None:
        return None
    values = [value(one) for one in runs]
    half = _half_by_seed(values)
    middle = float(np.mean(values))
    return Estimate(middle, max(min(by_task.low, middle - half), 0.0), min(max(by_task.high, middle + half), 1.0), by_task.n)


def difference(first: Sequence[Scores], second: Sequence[Scores]) -> Difference | None:
    """second - first, seed by seed and task by task. None where no task was judged in both.

    Raises ValueError where the two do not have the same seeds, arms and tasks.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} seeds and {len(second)} seeds cannot be paired")
    values, variances, n = [], [], 0
    for a, b in zip(first, second):
        changes = _changes(a, b)
        if not changes:
            return None
        values.append(float(np.mean([d.mean() for d in changes])))
        variances.append(sum((float((d**2).sum()) + 1) / (len(d) + 2) ** 2 for d in changes) / len(changes) ** 2)
        n += sum(map(len, changes))
    middle = float(np.mean(values))
    error = math.sqrt(sum(variances)) / len(values)
    half = max(_half_by_seed(values), Z * error)
    p = max(_p_by_seed(values), math.erfc(abs(middle) / error / math.sqrt(2)))
    return Difference(middle, middle - half, middle + half, p, n)


@dataclass(frozen=True)
class Share:
    """A ratio of two gains, between low and high with 95 % certainty."""

    value: float
    low: float
    high: float


def share_of_gain(whole: Sequence[tuple[Scores, Scores]], part: Sequence[tuple[Scores, Scores]]) -> Share | None:
    """The gain of `part` as a share of that of `whole`, each (before, after) by seed; None where no gain of the whole is shown.

    Fieller's interval: all shares r for which the mean of `part - r * whole` may be 0, judged by seeds and by tasks as
    `difference` judges; the wider of both. Gains may be below 0, and shares above 1.

    Raises ValueError as `difference` does.
    """
    if len(whole) != len(part) or not whole:
        raise ValueError(f"{len(whole)} seeds and {len(part)} seeds cannot be paired")
    gains, noise = [], np.zeros((2, 2))
    for (a, b), (c, d) in zip(whole, part):
        if a.keys() != c.keys() or any(len(a[arm]) != len(c[arm]) for arm in a):
            raise ValueError("the two runs do not have the same tasks, so they cannot be paired")
        changes = [np.stack([d[arm] - c[arm], b[arm] - a[arm]]) for arm in a]
        changes = [both[:, known] for both in changes if (known := ~np.isnan(both).any(axis=0)).any()]
        if not changes:
            return None
        gains.append(np.mean([both.mean(axis=1) for both in changes], axis=0))
        noise += sum((both @ both.T + np.eye(2)) / (both.shape[1] + 2) ** 2 for both in changes) / len(changes) ** 2
    seeds = len(gains)
    middle = np.mean(gains, axis=0)
    sides = [(Z, noise / seeds**2)]
    if seeds > 1:
        sides.append((student_quantile(seeds - 1), np.cov(np.array(gains).T) / seeds))
    ends = [_fieller(middle, z * z * spread) for z, spread in sides]
    if middle[1] <= 0 or any(pair is None for pair in ends):
        return None
    known = [pair for pair in ends if pair]
    return Share(float(middle[0] / middle[1]), min(low for low, _ in known), max(high for _, high in known))


def _fieller(middle: np.ndarray, spread: np.ndarray) -> tuple[float, float] | None:
    """The r with (x - r y)^2 at most the spread of x - r y; None where they have no end, because y may be 0."""
    (x, y), ((xx, xy), (_, yy)) = middle, spread
    a, b, c = y * y - yy, x * y - xy, x * x - xx
    if a <= 0:
        return None
    root = math.sqrt(max(b * b - a * c, 0.0))
    return float((b - root) / a), float((b + root) / a)


def holm(ps: Sequence[float]) -> list[float]:
    """p-values adjusted for being several: the smallest times their number, the next times one less, …, never falling."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = largest
    return adjusted


def student_p(t: float, freedom: int) -> float:
    """Two-sided p-value of Student's t."""
    if math.isinf(t):
        return 0.0
    return float(mpmath.betainc(freedom / 2, 0.5, 0, freedom / (freedom + t * t), regularized=True))


@lru_cache
def student_quantile(freedom: int, p: float = 0.05) -> float:
    """The t that is exceeded, either way, with probability p."""
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, freedom) > p else (low, middle)
    return high


def _means(one: Scores) -> list[float]:
    judged = [tasks[~np.isnan(tasks)] for tasks in one.values()]
    return [float(t.mean()) for t in judged if len(t)]


def _changes(a: Scores, b: Scores) -> list[np.ndarray]:
    """For each arm with tasks judged in both, their differences."""
    if a.keys() != b.keys() or any(len(a[arm]) != len(b[arm]) for arm in a):
        raise ValueError("the two runs do not have the same tasks, so they cannot be paired")
    found = [b[arm] - a[arm] for arm in a]
    return [d[~np.isnan(d)] for d in found if not np.isnan(d).all()]


def _half_by_seed(values: Sequence[float]) -> float:
    """Half the width of Student's 95 % interval of the mean; 0 for a single value, which has no spread."""
    return _error(values) * student_quantile(len(values) - 1) if len(values) > 1 else 0.0


def _p_by_seed(values: Sequence[float]) -> float:
    if len(values) == 1:
        return 0.0
    middle, error = float(np.mean(values)), _error(values)
    return student_p(middle / error if error else math.inf, len(values) - 1) if middle else 1.0


def _error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))
