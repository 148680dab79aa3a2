"""A better learning-rate schedule from the gradient norms of a run: what to take the next time.

Defazio et al., "When, Why and How Much? Adaptive Learning Rate Scheduling by Refinement", arXiv 2310.07831, algorithm 1 (from
memory of the paper): norms G_1 to G_T are smoothed by a median filter of width 0.1 T; with w_t = 1 / G_t^2 the schedule is
w_t times the sum of the later w, divided by its largest value. Equal norms give the linear decay to 0, which the paper finds
best by default.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SMOOTH = 0.1  # of the run
LEAST = 20  # steps


def refined(norms: Sequence[float]) -> np.ndarray | None:
    """(T,) shares of the highest learning rate; None below LEAST steps. Steps without a gradient count as their neighbours
    do."""
    known = np.array([g for g in norms if np.isfinite(g) and g > 0], float)
    if len(known) < LEAST:
        return None
    half = max(int(SMOOTH * len(known)) // 2, 1)
    padded = np.pad(known, half, mode="edge")
    smooth = np.array([np.median(padded[i : i + 2 * half + 1]) for i in range(len(known))])
    w = 1 / smooth**2
    later = np.append(np.cumsum(w[::-1])[::-1][1:], 0.0)
    schedule = w * later
    return schedule / schedule.max()


def linear_end(schedule: np.ndarray) -> float:
    """The `lr_end` of the line through a schedule, by least squares: where it ends as a share of where it begins; 0 to 1."""
    x = np.linspace(0, 1, len(schedule))
    slope, start = np.polyfit(x, schedule, 1)
    return float(np.clip((start + slope) / start, 0, 1)) if start > 0 else 1.0
