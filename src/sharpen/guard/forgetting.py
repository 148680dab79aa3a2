"""What was forgotten, and what carried over: numbers of a model that learns one task after another.

All of them are functions of accuracies alone, so whatever measured these: a run over a stream, checkpoints, another program.

    a       (N, N), a[i, j] = accuracy on task j after learning task i; tasks in the order in which they were learnt
    curve   (M, N), the accuracy on every task at M moments, in order: as often as it was measured, the beginning too
    ends    (N,), ends[i] = the row of `curve` at which learning task i was over; so a = curve[ends]

Accuracies are shares from 0 to 1. What needs two tasks and has one is NaN, never 0: nothing was forgotten that could be.

Sources: Lopez-Paz & Ranzato, arXiv 1706.08840 (transfer); Chaudhry et al., arXiv 1801.10112 (forgetting); De Lange et al.,
    arXiv
2205.13452 (the stability gap); the L2M programme's metrics (New et al., arXiv 2201.08278) as in its code, l2metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import median

import numpy as np
from numpy.typing import ArrayLike

# ------------------------------------------------------------------------------------------------- of the accuracy matrix


def average(a: ArrayLike) -> float:
    """AA: the mean accuracy on all tasks at the end."""
    return float(square(a)[-1].mean())


def incremental(a: ArrayLike) -> float:
    """AIA: the mean, over tasks, of the accuracy on the tasks learnt by then."""
    matrix = square(a)
    return float(np.mean([matrix[i, : i + 1].mean() for i in range(len(matrix))]))


def forgetting(a: ArrayLike) -> float:
    """FM: how far the tasks before the last one fell from their best after an earlier task. It may be negative."""
    matrix = square(a)
    fallen = matrix[:-1, :-1].max(axis=0, initial=-math.inf) - matrix[-1, :-1]
    return mean(fallen)


def backward_transfer(a: ArrayLike) -> float:
    """BWT: how much better the tasks before the last one are at the end than right after they were learnt.

    Forgetting is never below its negative, and equal to it where every task was best right after it was learnt."""
    matrix = square(a)
    return mean((matrix[-1] - np.diag(matrix))[:-1])


def forward_transfer(a: ArrayLike, before: ArrayLike) -> float:
    """FWT: how much better each task but the first is just before it is learnt than it was at the beginning.

    before  (N,) accuracies before anything was learnt
    """
    matrix, begun = square(a), np.asarray(before, float)
    return mean([matrix[j - 1, j] - begun[j] for j in range(1, len(matrix))])


def intransigence(a: ArrayLike, joint: ArrayLike) -> float:
    """How much better each task would be learnt together with those before it. joint: (N,), joint[k] so measured on task k."""
    return float(np.mean(np.asarray(joint, float) - np.diag(square(a))))


# ------------------------------------------------------------------------------- within tasks: what the matrix cannot show


def least(curve: ArrayLike, ends: Sequence[int]) -> float:
    """min-ACC: of the tasks before the last, the mean of each one's lowest accuracy since it was learnt.

    Measuring more often never raises it."""
    rows = np.asarray(curve, float)
    return mean([rows[ends[i] :, i].min() for i in range(len(ends) - 1)])


def worst_case(curve: ArrayLike, ends: Sequence[int]) -> float:
    """WC-ACC: the accuracy on the last task, and `least` for the others, weighted by their number. Never above `average`."""
    rows, n = np.asarray(curve, float), len(ends)
    last = float(rows[ends[-1], n - 1])
    return last if n == 1 else last / n + (1 - 1 / n) * least(rows, ends)


def stability_gap(curve: ArrayLike, ends: Sequence[int]) -> float:
    """The dip within a task: how far a task that was learnt falls while another one is, below what it has before and after
    that.

    Mean over all pairs of a task and a later one. 0 where accuracies only go one way; what is lost in the end is no part of it.
    """
    rows = np.asarray(curve, float)
    dips = []
    for later in range(1, len(ends)):
        part = rows[ends[later - 1] : ends[later] + 1]
        dips += [min(part[0, i], part[-1, i]) - part[:, i].min() for i in range(later)]
    return mean(dips)


def windowed(curve: ArrayLike, window: int, rise: bool = False) -> float:
    """WF: the largest fall (WP: rise) of a task within so many moments in a row; mean over tasks. A fall is positive."""
    rows = np.asarray(curve, float) * (-1 if rise else 1)
    found = []
    for task in rows.T:
        pairs = [task[i] - task[i : i + window].min() for i in range(len(task))]
        found.append(max(pairs))
    return mean(found)


# --------------------------------------------------------------------------------------------------------------- L2M's set


def contrast(before: float, after: float) -> float:
    """Transfer as (after - before) / (after + before), from -1 to 1; 0 where both are 0. Of accuracies, or other numbers from
    0.
    """
    return (after - before) / (after + before) if after + before else 0.0


def maintenance(curve: ArrayLike, ends: Sequence[int]) -> float:
    """Performance maintenance, by the most recent evaluation right after a task was learnt ("mrlep"): the mean, over all later
    moments and tasks learnt by then, of the accuracy less that one. Negative: forgotten."""
    rows = np.asarray(curve, float)
    return mean([rows[t, i] - rows[ends[i], i] for i in range(len(ends) - 1) for t in range(ends[i] + 1, ends[-1] + 1)])


def transfer(curve: ArrayLike, ends: Sequence[int]) -> Mapping[str, float]:
    """Forward: the contrast of each task before and after an earlier one is learnt; backward: of one that was learnt before."""
    rows, starts = np.asarray(curve, float), [0, *ends[:-1]]
    ahead = [(k, j) for k in range(len(ends)) for j in range(k + 1, len(ends))]
    behind = [(k, j) for k in range(len(ends)) for j in range(k)]
    found = {"forward": ahead, "backward": behind}
    return {n: mean([contrast(rows[starts[k], j], rows[ends[k], j]) for k, j in pairs]) for n, pairs in found.items()}


def relative(learner: Sequence[float], expert: Sequence[float]) -> float:
    """Relative performance: what the learner got while it learnt a task, over what one that learnt nothing else got in as long.

    NaN where the expert got nothing. Both are accuracies at the same moments."""
    n = min(len(learner), len(expert))
    total = sum(expert[:n])
    return sum(learner[:n]) / total if total else math.nan


def saturation(curve: Sequence[float], window: int = 3) -> tuple[float, int]:
    """(the largest moving average of a learning curve, the number of the moment at which it is first reached, from 1)."""
    values = [float(np.mean(curve[max(i - window + 1, 0) : i + 1])) for i in range(len(curve))]
    best = max(values)
    return best, values.index(best) + 1


def sample_efficiency(learner: Sequence[float], expert: Sequence[float], window: int = 3) -> float:
    """How high and how fast a task was learnt, over an expert's: (height / its height) * (its moments / moments).

    0 where the learner's height is below a fifth of the expert's or it did not rise; NaN where the expert learnt nothing."""
    (height, moment), (other, then) = saturation(learner, window), saturation(expert, window)
    if not other:
        return math.nan
    rises = len(learner) < 2 or np.polyfit(np.arange(len(learner)), np.asarray(learner, float), 1)[0] >= 0
    return 0.0 if height < 0.2 * other or not rises else height / other * then / moment


def recovery(times: Sequence[float]) -> float:
    """Performance recovery: minus the Theil-Sen slope of the times that regaining what was lost took, in order. Positive:
    faster and faster. NaN of fewer than two."""
    slopes = [(times[j] - times[i]) / (j - i) for i, j in combinations(range(len(times)), 2)]
    return -float(median(slopes)) if slopes else math.nan


def recovery_times(curve: Sequence[float], drops: Sequence[int]) -> list[float]:
    """For each moment at which something else begins, how many moments later the accuracy of then is reached again; those in
    which it never falls, or never comes back before the next one, are left out.

    drops  rows of the curve, in order
    """
    found = []
    for start, end in zip(drops, [*drops[1:], len(curve) - 1], strict=True):
        level, part = curve[start], list(curve[start + 1 : end + 1])
        fell = next((i for i, v in enumerate(part) if v < level), None)
        if fell is not None and (back := next((i for i, v in enumerate(part) if i > fell and v >= level), None)) is not None:
            found.append(float(back + 1))
    return found


def summary(curve: ArrayLike, ends: Sequence[int]) -> dict[str, float]:
    """All of it that needs nothing else than the run itself."""
    rows = np.asarray(curve, float)
    a, drops = rows[list(ends)], list(ends[:-1])
    times = [t for i in range(len(drops)) for t in recovery_times(list(rows[:, i]), drops[i:])]
    both = transfer(rows, ends)
    return {
        "average": average(a),
        "incremental": incremental(a),
        "worst_case": worst_case(rows, ends),
        "least": least(rows, ends),
        "forgetting": forgetting(a),
        "backward_transfer": backward_transfer(a),
        "forward_transfer": forward_transfer(a, rows[0]),
        "stability_gap": stability_gap(rows, ends),
        "maintenance": maintenance(rows, ends),
        "forward_contrast": both["forward"],
        "backward_contrast": both["backward"],
        "recovery": recovery(times),
    }


# ------------------------------------------------------------------------------------------------------------- two phases


def two_phases(tuning: Mapping[str, Sequence[float]], judging: Mapping[str, Sequence[float]]) -> tuple[str, float, float]:
    """(the setting that is best on the stream on which one may tune, what it reaches there, what it reaches on the other).

    A stream that settings were chosen on flatters the best of them; the other does not (Cha & Cho, arXiv 2403.09066). Both map
    a setting to its scores, one a seed. Raises ValueError where the chosen one was not judged.
    """
    chosen = max(tuning, key=lambda name: (float(np.mean(tuning[name])), name))
    if chosen not in judging:
        raise ValueError(f"{chosen} is the best of the settings and was not judged on the other stream")
    return chosen, float(np.mean(tuning[chosen])), float(np.mean(judging[chosen]))


def square(a: ArrayLike) -> np.ndarray:
    matrix = np.asarray(a, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(f"an accuracy matrix has a row and a column for each task, and this one is of shape {matrix.shape}")
    return matrix


def mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
