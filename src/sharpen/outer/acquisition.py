"""A Gaussian process over a cube, and what a next trial is worth by it.

Frazier, "A Tutorial on Bayesian Optimization", arXiv 1807.02811: expected improvement (4.1) and the knowledge gradient (4.2),
which Optuna does not have. At most a few hundred trials: everything is dense.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LENGTHS = (0.1, 0.2, 0.4, 0.8, 1.6)  # of the kernel, in sides of the cube; the likeliest is taken
NOISES = (1e-4, 1e-2, 0.1, 0.3, 1.0)  # variance of a score's noise, in variances of all scores


@dataclass(frozen=True)
class Process:
    """What is believed after N trials at `points` (N, K): the rest is the factor of their covariance and its solution.

    mean, scale  of the scores, which are standardised within
    length, noise  of the Matern 5/2 kernel with variance 1
    """

    points: np.ndarray
    factor: np.ndarray
    weights: np.ndarray
    mean: float
    scale: float
    length: float
    noise: float

    def at(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(M,) posterior means and (M, M) covariances, in the scores' units, without noise."""
        cross = kernel(points, self.points, self.length)
        half = np.linalg.solve(self.factor, cross.T)
        covariance = kernel(points, points, self.length) - half.T @ half
        return self.mean + self.scale * (cross @ self.weights), self.scale**2 * covariance


def kernel(a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
    """Matern 5/2: (1 + r + r^2 / 3) exp(-r), r = sqrt(5) |a - b| / length."""
    r = math.sqrt(5) * np.sqrt(np.maximum(((a[:, None, :] - b[None]) ** 2).sum(-1), 0)) / length
    return (1 + r + r * r / 3) * np.exp(-r)


def fit(points: np.ndarray, scores: np.ndarray) -> Process:
    """The likeliest process of a small grid of lengths and noises. One score, or equal ones, have a scale of 1."""
    mean, scale = float(scores.mean()), float(scores.std()) or 1.0
    y = (scores - mean) / scale
    best: tuple[float, Process] | None = None
    for length in LENGTHS:
        for noise in NOISES:
            factor = np.linalg.cholesky(kernel(points, points, length) + (noise + 1e-8) * np.eye(len(points)))
            weights = np.linalg.solve(factor.T, np.linalg.solve(factor, y))
            likelihood = -0.5 * float(y @ weights) - float(np.log(np.diag(factor)).sum())
            if best is None or likelihood > best[0]:
                best = likelihood, Process(points, factor, weights, mean, scale, length, noise)
    assert best is not None
    return best[1]


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """E[max(f - best, 0)] of normals: (mean - best) Phi(z) + s phi(z), z = (mean - best) / s; its limit where s = 0.

    With noisy scores `best` is the largest posterior mean of what was tried, not the largest score.
    """
    gap = mean - best
    z = gap / np.where(deviation > 0, deviation, 1.0)
    return np.where(deviation > 0, gap * _cdf(z) + deviation * _pdf(z), np.maximum(gap, 0.0))


def knowledge_gradient(mean: np.ndarray, covariance: np.ndarray, noise: float) -> np.ndarray:
    """(M,) what one more trial at each of M points raises the largest posterior mean of them by, in expectation.

    After a trial at x the means are mean + s(x) Z, s(x) = covariance[:, x] / sqrt(covariance[x, x] + noise), Z normal; so it is
    E[max of M lines in Z] - max(mean), exactly, by their upper envelope (Frazier, Powell & Dayanik 2009).
    """
    spread = np.sqrt(np.maximum(np.diag(covariance), 0) + noise)
    slopes = covariance / np.where(spread > 0, spread, 1.0)[None, :]
    return np.array([envelope(mean, slopes[:, i]) for i in range(len(mean))]) - mean.max()


def envelope(heights: np.ndarray, slopes: np.ndarray) -> float:
    """E[max_i heights_i + slopes_i Z] for a standard normal Z."""
    highest = {float(slopes[i]): int(i) for i in np.argsort(heights, kind="stable")}  # of parallel lines the highest alone
    kept: list[int] = []
    starts: list[float] = []  # the Z from which a line is above those before it
    for i in (highest[slope] for slope in sorted(highest)):
        cut = -math.inf
        while kept:
            cut = (heights[kept[-1]] - heights[i]) / (slopes[i] - slopes[kept[-1]])
            if cut > starts[-1]:
                break
            kept.pop()
            starts.pop()
        starts.append(cut if kept else -math.inf)
        kept.append(i)
    begins, ends = np.array(starts), np.array([*starts[1:], math.inf])
    a, b = heights[kept], slopes[kept]
    return float((a * (_cdf(ends) - _cdf(begins)) + b * (_pdf(begins) - _pdf(ends))).sum())


def _cdf(z: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))(z)


def _pdf(z: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.square(z)) / math.sqrt(2 * math.pi)
