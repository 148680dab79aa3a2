"""Are a predictor's errors only noise? The split-point discrepancy of its residuals: 0 where chance explains all of them.

"Post-Hoc Split-Point Self-Consistency Verification for Efficient, Unified Quantification of Aleatoric and Epistemic Uncertainty
in Deep Learning", arXiv 2509.13262, and its code. What is left of a learnt reward's errors is its `doubt` (learnt.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def discrepancy(residuals: Sequence[float]) -> float:
    """|2 MAR+ MAR- - MAR (MAR+ + MAR-)|: 0 where the residuals y - prediction have mean 0, whatever their skew; larger where
    they are off: what no amount of noise explains. 0 of none, and of residuals of one sign their mean's square.

    MAR = E|r|, MAR+ = E[r | r > 0], MAR- = E[-r | r < 0]. For regression.
    """
    r = np.asarray(residuals, float)
    up, down = r[r > 0], -r[r < 0]
    if not len(r) or (not len(up) and not len(down)):
        return 0.0
    if not len(up) or not len(down):
        return float(r.mean() ** 2)
    mar, plus, minus = float(np.abs(r).mean()), float(up.mean()), float(down.mean())
    mar *= len(r) / (len(up) + len(down))  # a residual of 0 is on neither side
    return abs(2 * plus * minus - mar * (plus + minus))


def class_discrepancy(p: float, residual: float) -> float:
    """|2 p (1 - p) - MAR| of a class with probability p whose mean absolute residual is `residual`: 0 where it is
    calibrated."""
    if not 0 <= p <= 1 or math.isnan(residual):
        raise ValueError(f"{p} is no probability")
    return abs(2 * p * (1 - p) - residual)
