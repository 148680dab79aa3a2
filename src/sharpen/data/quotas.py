"""How many tasks to take of each cluster, and whether there are clusters at all.

quotas      whole numbers in proportion to weights, which add up exactly
reweighted  more of the clusters that are still wrong (DnC)
separated   as many clusters as come out alike again and again, and as Gaussians have them too (PPP)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.data import clusters, measures

LEAST = 0.98  # adjusted Rand index from which two partitions count as the same
REPEATS, STARTS = 4, 5


def centred(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1 without what all have in common, which is most of a hidden state."""
    return measures.unit(rows.astype(np.float64) - rows.mean(axis=0))


def quotas(weights: Sequence[float] | np.ndarray, n: int) -> np.ndarray:
    """(K,) whole numbers that add up to n, in proportion to the weights; the largest remainders get what is left over."""
    share = np.asarray(weights, np.float64) / np.sum(weights) * n
    found = np.floor(share).astype(np.int64)
    order = np.argsort(-(share - found), kind="stable")
    found[order[: n - int(found.sum())]] += 1
    return found


def reweighted(labels: np.ndarray, rate: np.ndarray, k: int, strength: float = 1.0) -> np.ndarray:
    """(k,) weights that add up to 1: exp(strength * mean gap of a cluster's tried tasks), the gap being 1 - success rate.

    rate  (N,) success rate of each task, NaN where it was not tried. A cluster in which nothing is ever solved has a gap of 0:
          its labels may be wrong. So has one that nobody tried, until it is.
    Source: DnC, arXiv 2409.11378, whose gap is reward(gold) - reward(own answer).
    """
    gap = np.zeros(k)
    for label in range(k):
        tried = rate[(labels == label) & ~np.isnan(rate)]
        if len(tried) and tried.max() > 0:
            gap[label] = 1 - tried.mean()
    weights = np.exp(strength * gap)
    return weights / weights.sum()


def separated(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) labels of the largest number of clusters up to `most` that comes out alike REPEATS times (each the best of STARTS),
    where a Gaussian for each cluster puts the rows into the same ones; all 0 where there is none.

    Source: PPP, arXiv 2003.04372: partitions by k-means, each validated by a Gaussian mixture. Its rule of acceptance is not
    public; these two are ours.
    """
    found = np.zeros(len(rows), np.int64)
    for k in range(2, min(most, len(np.unique(rows.round(9), axis=0))) + 1):
        first, *others = (best_of(rows, k, rng) for _ in range(REPEATS))
        alike = [clusters.agreement(first, other) for other in [*others, by_gaussians(rows, first)]]
        if min(alike) >= LEAST:
            found = first
    return found


def best_of(rows: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) labels of the k-means that leaves least variance within clusters, of STARTS."""
    tries = [np.asarray(clusters.k_means(rows, k, rng), np.int64) for _ in range(STARTS)]
    return min(tries, key=lambda labels: within(rows, labels))


def within(rows: np.ndarray, labels: np.ndarray) -> float:
    return sum(float(((own - own.mean(axis=0)) ** 2).sum()) for own in (rows[labels == j] for j in np.unique(labels)))


def by_gaussians(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) the likeliest cluster of each row, every cluster being a Gaussian without correlations and with its share."""
    scores = []
    floor = 1e-3 * rows.var(axis=0) + 1e-9
    for own in (rows[labels == label] for label in np.unique(labels)):
        variance = own.var(axis=0) + floor
        far = ((rows - own.mean(axis=0)) ** 2 / variance + np.log(variance)).sum(axis=1)
        scores.append(np.log(len(own)) - far / 2)
    return np.unique(labels)[np.argmax(scores, axis=0)]
