"""How faithful synthetic twins are to what they stand for, and whether they give away what is private.

Source: SCALEFeedback (arXiv 2508.05953), whose figures are a BERTScore of 0.84, correlations of 0.62 (marks) and 0.85
(lengths), and no private text; the meaning is compared here by hashed words (clusters.py), which needs no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sharpen.data import clusters
from sharpen.data.writing import private


@dataclass(frozen=True)
class Fidelity:
    """Of pairs (original, twin): mean cosine of their words, correlations, and how many twins keep a private word.

    A correlation is None where one side does not vary, or there are fewer than three pairs.
    """

    n: int
    meaning: float
    lengths: float | None
    marks: float | None
    leaks: int


def fidelity(originals: Sequence[str], twins: Sequence[str], marks: Sequence[tuple[float, float]] = ()) -> Fidelity:
    """marks  (of the original, of its twin), such as their difficulty; (): not compared"""
    vectors = clusters.embed([*originals, *twins], apart=False)
    n = len(originals)
    meaning = float((vectors[:n] * vectors[n:]).sum(1).mean()) if n else 0.0
    lengths = correlation([(len(a.split()), len(b.split())) for a, b in zip(originals, twins, strict=True)])
    leaks = sum(bool(private(a) & private(b)) for a, b in zip(originals, twins, strict=True))
    return Fidelity(n, meaning, lengths, correlation(marks), leaks)


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Pearson's."""
    if len(pairs) < 3:
        return None
    a, b = (np.array(side, float) for side in zip(*pairs, strict=True))
    if not a.std() or not b.std():
        return None
    return float(np.corrcoef(a, b)[0, 1])
