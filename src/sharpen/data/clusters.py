"""Clusters of texts: hashed words as vectors, k-means, and how many clusters come out the same when it is repeated.

The vectors need no model. They tell questions apart by their words, blind to numbers, which is what a cluster of failures is
named by; they do not know that two words mean the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from sharpen.hashing import derive

WIDTH = 256  # of a vector
WORD = re.compile(r"[^\W\d_]+|[^\w\s]")
STEPS = 50  # of k-means, which has settled long before
REPEATS = 6
STEADY = 0.8  # adjusted Rand index between repeats, from which a number of clusters counts as found


def embed(texts: Sequence[str], apart: bool = True) -> np.ndarray:
    """(n, WIDTH) float64 of length 1: signed hashes of words and pairs of words.

    apart  to tell these texts apart: words of few of them weigh more, and those of a single one, which groups nothing, nothing
    A text without a word that counts is the zero vector.
    """
    listed = [(words := WORD.findall(text.lower())) + [f"{a} {b}" for a, b in zip(words, words[1:])] for text in texts]
    among = Counter(part for parts in listed for part in set(parts))

    def weight(part: str) -> float:
        return (np.log((1 + len(texts)) / among[part]) if among[part] > 1 else 0.0) if apart else 1.0

    found = np.zeros((len(texts), WIDTH))
    for row, parts in enumerate(listed):
        for part, n in Counter(parts).items():
            code = derive(0, "embed", part)
            found[row, code % WIDTH] += (1 if code >> 40 & 1 else -1) * n * weight(part)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def k_means(points: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) labels 0 to k - 1 by Lloyd's algorithm from k-means++ centres; k is at most the number of points."""
    centres = points[[int(rng.integers(len(points)))]]
    while len(centres) < k:
        far = np.min(((points[:, None] - centres[None]) ** 2).sum(-1), axis=1)
        weights = far / far.sum() if far.sum() > 1e-12 else np.full(len(points), 1 / len(points))
        centres = np.concatenate([centres, points[[int(rng.choice(len(points), p=weights))]]])
    labels = np.zeros(len(points), int)
    for _ in range(STEPS):
        nearest = np.argmin(((points[:, None] - centres[None]) ** 2).sum(-1), axis=1)
        if (nearest == labels).all() and _:
            break
        labels = nearest
        centres = np.stack([points[labels == j].mean(0) if (labels == j).any() else centres[j] for j in range(k)])
    return labels


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Adjusted Rand index of two labellings of the same points: 1 where they are the same, 0 on average by chance."""
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    both, rows, columns, whole = pairs(table), pairs(table.sum(1)), pairs(table.sum(0)), pairs(np.array([float(len(a))]))
    expected, most = rows * columns / whole if whole else 0.0, (rows + columns) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def repeatable(points: np.ndarray, most: int, rng: np.random.Generator) -> tuple[list[int], float]:
    """(labels, repeatability): of 2 to `most` clusters the largest number on which REPEATS clusterings agree, or one cluster.

    Repeatability is the mean adjusted Rand index between the clusterings; 1 for a single cluster.
    """
    best, found = 1.0, np.zeros(len(points), int)
    distinct = len(np.unique(points.round(9), axis=0))
    for k in range(2, min(most, distinct) + 1):
        runs = [k_means(points, k, rng) for _ in range(REPEATS)]
        mean = float(np.mean([agreement(a, b) for i, a in enumerate(runs) for b in runs[:i]]))
        if mean >= STEADY:
            best, found = mean, runs[0]
    order = {label: i for i, (label, _) in enumerate(Counter(found.tolist()).most_common())}
    return [order[int(label)] for label in found], best


def telling(own: Sequence[str], whole: Sequence[str], n: int = 3) -> list[str]:
    """The words that most set these texts apart from all."""
    inside, outside = (Counter(w for t in texts for w in set(WORD.findall(t.lower()))) for texts in (own, whole))
    score = {w: k / len(own) - (outside[w] - k) / max(len(whole) - len(own), 1) for w, k in inside.items() if len(w) > 2}
    return sorted(score, key=lambda w: (-score[w], w))[:n]
