"""Curves that part: a student that comes nearer to its teacher and further from what the teacher was to stand for.

Tiapkin et al., "On Teacher Hacking in Language Model Distillation", arXiv 2502.02671: the proxy is the distance to the
teacher, the golden metric that to the oracle; hacking is a proxy that falls while the golden one rises, and it shows early as
a proxy that no longer follows the power law of its beginning. In a run the loss of a distilling objective stands for the
proxy, and held-out accuracy for the oracle (`astray`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from sharpen.guard.learnt import Finding

LEAST = 8  # points of a curve
LEAVES = 3.0  # standard deviations of the first half's residuals
ROUNDS = 6  # of a run that are compared, the later half with the earlier
NEARER = 0.98  # times the distance to the teacher that it was


@dataclass(frozen=True)
class Parted:
    """hacked   the proxy has fallen and the golden metric risen since its lowest point, beyond their noise
    lowest   where the golden metric was lowest
    leaves   by how many standard deviations the proxy's second half lies off the power law of its first"""

    hacked: bool
    lowest: int
    leaves: float


def parted(proxy: Sequence[float], golden: Sequence[float]) -> Parted | None:
    """What two curves of the same length say; None below LEAST points. Both are distances: lower is better."""
    if len(proxy) < LEAST or len(proxy) != len(golden):
        return None
    near, true = np.asarray(proxy, float), np.asarray(golden, float)
    lowest = int(true.argmin())
    tail = max(len(true) // 5, 2)
    noise = float(np.abs(np.diff(true)).mean()) + 1e-12
    rose = float(true[-tail:].mean() - true[lowest]) > 2 * noise and lowest < len(true) - tail
    fell = float(near[-tail:].mean()) < float(near[lowest])
    return Parted(bool(rose and fell), lowest, deviation(near))


def astray(loop: Sequence[Mapping[str, Any]], rounds: Sequence[Mapping[str, Any]]) -> Finding | None:
    """The later three of the last ROUNDS rounds against the three before: nearer to the teacher, by a fiftieth or more, and
    less right on held-out tasks, by more than two standard errors of a difference between two evaluations. Quiet where no step
    has `to_teacher`, the loss of an objective that only draws the student to its teacher."""
    near = {
        r["round"]: [float(s["to_teacher"]) for s in loop if s["round"] == r["round"] and s.get("to_teacher") is not None]
        for r in rounds[-ROUNDS:]
    }
    seen = [
        (fmean(near[r["round"]]), float(r["accuracy"]), int(r["n"])) for r in rounds[-ROUNDS:] if near[r["round"]] and r["n"]
    ]
    if len(seen) < ROUNDS:
        return None
    half = ROUNDS // 2
    (was, before), (now, after) = (tuple(fmean(r[k] for r in part) for k in (0, 1)) for part in (seen[:half], seen[half:]))
    middle = min(max((before + after) / 2, 1 / seen[-1][2]), 1 - 1 / seen[-1][2])
    error = math.sqrt(2 * middle * (1 - middle) / seen[-1][2])
    if not now < NEARER * was or before - after < 2 * error:
        return None
    evidence = {"to_teacher_before": was, "to_teacher": now, "held_out_before": before, "held_out": after, "error": error}
    cure = (
        "The student learns the teacher's faults: let it learn from answers of its own (a recipe such as gkd or "
        "on_policy) and more varied --tasks, keep right ones only (--set select=keep_correct), or hold what was best (--set "
        "guard=ratchet)."
    )
    return Finding("teacher_hacking", evidence, cure)


def deviation(curve: np.ndarray) -> float:
    """How far the mean of the second half lies off a x^-b, fitted to the first half in logarithms, in its residuals'
    deviations."""
    x, y = np.log(np.arange(1, len(curve) + 1)), np.log(np.maximum(curve, 1e-12))
    half = len(curve) // 2
    slope, start = np.polyfit(x[:half], y[:half], 1)
    residuals = y - (slope * x + start)
    return float(abs(residuals[half:].mean()) / (residuals[:half].std() + 1e-3))
