"""Where a held-out curve ends: a prediction with an interval, from the rounds so far.

A curve is a + b g(x) plus a random walk, x being the share of the budget that is used up and g one of a few shapes: a power
law, an exponential that comes to rest, a line. For each shape, and each size of the walk, all else is linear and normal, so
that the posterior is exact; the prediction is their mean, weighted by how well each explains the rounds. Nothing is drawn.

Sources: Domhan, Springenberg, Hutter, "Speeding up automatic hyperparameter optimization of deep neural networks by
extrapolation of learning curves" (IJCAI 2015), for the families and the Bayesian mean over them, found there by MCMC;
Adriaensen et al., "Efficient Bayesian learning curve extrapolation" (arXiv 2310.20447), for what a prior over curves is
worth. The random walk is ours: without it, curves that no family fits get intervals that are too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpen.core import UserError
from sharpen.guard.falls import NORMAL

LEAST = 4  # rounds, the start among them, below which nothing is predicted
SHAPES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda x: x,
    *(lambda x, c=c: (1 - np.exp(-c * x)) / (1 - math.exp(-c)) for c in (1.0, 2.0, 4.0, 8.0, 16.0)),
    *(lambda x, c=c: ((x + 0.05) ** c - 0.05**c) / (1.05**c - 0.05**c) for c in (-1.0, -0.5, 0.25, 0.5)),
)
WALKS = (0.005, 0.02, 0.05, 0.1)  # standard deviation of the walk over a whole budget …
RISE = 0.3  # … and of b, before anything was seen
JITTER = 0.01  # standard deviation of a round beyond what counting explains: weights go up and down


@dataclass(frozen=True)
class Expected:
    """The accuracy with which the budget ends, and the interval that holds it with the chance `share`; `sure` is the chance
    that it is above a level."""

    value: float
    low: float
    high: float
    parts: tuple[tuple[float, float, float], ...] = ()  # weight, mean, standard deviation of each explanation

    def above(self, level: float) -> float:
        """The chance of more than that."""
        return sum(w * NORMAL.cdf((mean - level) / sd) for w, mean, sd in self.parts)

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % ({100 * self.low:.0f}-{100 * self.high:.0f})"


def expected(
    x: Sequence[float], accuracy: Sequence[float], n: Sequence[int], end: float = 1.0, share: float = 0.9
) -> Expected | None:
    """What the curve comes to at `end`, from (R,) positions, accuracies on n tasks each, in 0 to 1.

    The noise of a round is that of counting, p (1 - p) / n, and JITTER; both are in the interval, which is one for the figure
    that will be measured. None for fewer than LEAST rounds, or where they do not lie at different positions.
    """
    at, y = np.asarray(x, float), np.asarray(accuracy, float)
    if len(at) < LEAST or np.ptp(at) <= 0:
        return None
    p = np.clip((y * np.asarray(n) + 1) / (np.asarray(n) + 2), 0.0, 1.0)
    noise = p * (1 - p) / np.maximum(np.asarray(n), 1) + JITTER**2
    places = np.append(at, end)
    common = np.minimum.outer(places - at[0], places - at[0])
    found = []
    for shape in SHAPES:
        g = shape(np.clip(places, 0.0, None))
        for walk in WALKS:
            cov = 0.25 + RISE**2 * np.outer(g, g) + walk**2 * common
            seen, cross = cov[:-1, :-1] + np.diag(noise), cov[-1, :-1]
            lower = np.linalg.cholesky(seen)
            white = np.linalg.solve(lower, np.column_stack([y - 0.5, cross]))
            evidence = -0.5 * float(white[:, 0] @ white[:, 0]) - float(np.log(np.diag(lower)).sum())
            mean = 0.5 + float(white[:, 1] @ white[:, 0])
            variance = float(cov[-1, -1] - white[:, 1] @ white[:, 1]) + float(noise[-1])
            found.append((evidence, mean, math.sqrt(max(variance, 1e-12))))
    best = max(evidence for evidence, _, _ in found)
    weights = np.array([math.exp(evidence - best) for evidence, _, _ in found])
    weights /= weights.sum()
    parts = tuple((float(w), mean, sd) for w, (_, mean, sd) in zip(weights, found, strict=True))
    low, middle, high = (min(max(quantile(parts, q), 0.0), 1.0) for q in ((1 - share) / 2, 0.5, (1 + share) / 2))
    return Expected(middle, low, high, parts)


def quantile(parts: Sequence[tuple[float, float, float]], q: float) -> float:
    """Of a mixture of normal distributions, by halving."""
    low = min(mean - 9 * sd for _, mean, sd in parts)
    high = max(mean + 9 * sd for _, mean, sd in parts)
    for _ in range(50):
        middle = (low + high) / 2
        below = sum(w * NORMAL.cdf((middle - mean) / sd) for w, mean, sd in parts)
        low, high = (middle, high) if below < q else (low, middle)
    return (low + high) / 2


def of_rounds(rounds: Sequence[Mapping[str, Any]], progress: float) -> Expected | None:
    """The same of a stage's rounds as `control` has them, the first of which is its start; they count as evenly spaced.

    Those that were taken back are left out: their weights are nobody's. None where nothing can be said yet, or is left to say.
    """
    if len(rounds) < 2 or not 0 < progress < 1:
        return None
    used = [(i, r) for i, r in enumerate(rounds) if r["answer"] != "worse"]
    x = [progress * i / (len(rounds) - 1) for i, _ in used]
    return expected(x, [r["accuracy"] for _, r in used], [r["n"] for _, r in used])


def predicted(rounds: Sequence[Mapping[str, Any]], worth: float = 0.01, sure: float = 0.9, *, progress: float) -> str | None:
    """Stop when what is left of the budget will hardly gain what you care about.

    worth  gain in accuracy (0.01: one point) over the weights that are accepted or gone on from
    sure   stop where the chance of less than that is above this

    Never before LEAST rounds, and not where the prediction is wide: an interval that includes a gain goes on. UserError for a
    worth below 0, or a chance that is none.
    """
    if worth < 0 or not 0 < sure < 1:
        raise UserError("control=predicted needs a worth of at least 0, and 0 < sure < 1.")
    found = of_rounds(rounds, progress)
    if found is None:
        return None
    now = level(rounds)
    if found.above(now + worth) > 1 - sure:
        return None
    chance = f"the chance of {100 * worth:.1f} points above the {now:.1%} of now is below {1 - sure:.0%}"
    return f"expected at the end: {found}; {chance}"


def level(rounds: Sequence[Mapping[str, Any]]) -> float:
    """Accuracy of now: the mean of the last two rounds that are in use, which is steadier than one."""
    used = [r["accuracy"] for r in rounds if r["answer"] != "worse"][-2:]
    return sum(used) / len(used)
