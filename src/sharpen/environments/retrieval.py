"""Search over texts at hand: BM25 (Robertson & Zaragoza 2009, equation 3.15; k1 1.5, b 0.75, Lucene's never negative idf)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

LARGE = 20_000  # texts above which the package bm25s does it, where it is installed
WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


class Index:
    """Texts, to be searched. `search` gives the numbers of the k best, best first; none that shares no word with the query."""

    def __init__(self, texts: Sequence[str], k1: float = 1.5, b: float = 0.75) -> None:
        self.texts, self.k1, self.b = list(texts), k1, b
        self.counts = [Counter(words(text)) for text in self.texts]
        self.lengths = np.array([sum(c.values()) for c in self.counts], dtype=np.float64)
        self.where: dict[str, list[int]] = {}
        for i, counted in enumerate(self.counts):
            for word in counted:
                self.where.setdefault(word, []).append(i)

    def scores(self, query: str) -> np.ndarray:
        """(N,) BM25 of each text; 0 where no word of the query stands in it."""
        n, found = len(self.texts), np.zeros(len(self.texts))
        mean = self.lengths.mean() if n else 1.0
        for word in set(words(query)):
            held = self.where.get(word, [])
            idf = math.log(1 + (n - len(held) + 0.5) / (len(held) + 0.5))
            tf = np.array([self.counts[i][word] for i in held], dtype=np.float64)
            norm = self.k1 * (1 - self.b + self.b * self.lengths[held] / max(mean, 1e-9))
            found[held] += idf * tf * (self.k1 + 1) / (tf + norm)
        return found

    def search(self, query: str, k: int = 3) -> list[int]:
        scores = self.scores(query)
        order = np.lexsort((np.arange(len(scores)), -scores))[:k]
        return [int(i) for i in order if scores[i] > 0]


def large(texts: Sequence[str]) -> Index | LargeIndex:
    """An index of any number of texts."""
    return LargeIndex(texts) if len(texts) > LARGE and installed() else Index(texts)


def installed() -> bool:
    import importlib.util

    return importlib.util.find_spec("bm25s") is not None


class LargeIndex:
    """The same by bm25s, which takes a tenth of the time for a million texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        import bm25s

        self.texts, self.inner = list(texts), bm25s.BM25(k1=1.5, b=0.75, method="lucene")
        self.inner.index([words(text) for text in self.texts], show_progress=False)

    def search(self, query: str, k: int = 3) -> list[int]:
        asked = [word for word in words(query) if word in self.inner.vocab_dict]
        if not asked:
            return []
        found, scores = self.inner.retrieve([asked], k=min(k, len(self.texts)), show_progress=False)
        return [int(i) for i, score in zip(found[0], scores[0], strict=True) if score > 0]
