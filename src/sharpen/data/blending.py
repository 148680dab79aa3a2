"""Rewards made of parts, whose weights are learnt: for `select`.

Outer and inner problem of BARFI (arXiv 2310.19007): the student learns from sum_i phi_i r_i, and phi goes where the true reward
of what it then does rises.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sharpen.core import Sample
from sharpen.data.pairs import by_prompt, rewarded

TRUE = "true"  # the weight of the true reward itself


def slope(true: np.ndarray, part: np.ndarray, tau: float = 1.0) -> float:
    """How fast the true reward of a softmax policy rises with the weight of a part: Cov(true, part) / tau over its own samples.

    Exact for the optimum of E[r_phi] + tau H (the implicit gradient of the paper's outer problem there); elsewhere an estimate.
    """
    return float(np.mean((true - true.mean()) * (part - part.mean()))) / tau


def blended(
    samples: Sequence[Sample],
    parts: Sequence[str],
    rate: float = 0.5,
    tau: float = 1.0,
    highest: float = 1.0,
    *,
    notes: dict[str, Any],
) -> list[Sample]:
    """The samples, paid phi_true * (correct) + sum_i phi_i * part_i, with phi moved by the mean slope over groups first.

    The true reward is the outcome: 1 where it is correct. Its weight begins, and stays, at 1, so nothing ever outweighs it
    beyond `highest` in either direction; every part's begins at 0. A sample without a part has 0 of it.

    notes  `phi` holds the weights, committed with the step
    """
    phi: dict[str, float] = dict(notes.get("phi", {name: 0.0 for name in parts}))
    groups = [group for group in by_prompt(samples) if len(group) > 1]
    for name in parts:
        slopes = [slope(_true(group), _part(group, name), tau) for group in groups]
        moved = phi.get(name, 0.0) + rate * (float(np.mean(slopes)) if slopes else 0.0)
        phi[name] = float(np.clip(moved, -highest, highest))
    notes["phi"] = phi
    return [
        rewarded(s, float(s.verdict.correct) + sum(phi[name] * s.verdict.parts.get(name, 0.0) for name in parts))
        for group in by_prompt(samples)
        for s in group
    ]


def handed_over(samples: Sequence[Sample], early: str = "form", *, progress: float) -> list[Sample]:
    """The samples, paid w * (their part of that name) + (1 - w) * (their reward), with w falling from 1 to 0 along a cosine:
    form first, meaning in the end. A sample without the part has 0 of it. Datarus-R1 (arXiv 2508.13382) names a cosine and no
    more; this one is ours: w = (1 + cos(pi * progress)) / 2."""
    w = form_weight(progress)
    return [
        rewarded(s, w * s.verdict.parts.get(early, 0.0) + (1 - w) * float(s.verdict.reward or 0.0))
        for group in by_prompt(samples)
        for s in group
    ]


def form_weight(progress: float) -> float:
    """1 at the beginning, a half in the middle, 0 at the end of the budget."""
    return (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2


def _true(group: Sequence[Sample]) -> np.ndarray:
    return np.array([float(s.verdict.correct) for s in group])


def _part(group: Sequence[Sample], name: str) -> np.ndarray:
    return np.array([float(s.verdict.parts.get(name, 0.0)) for s in group])
