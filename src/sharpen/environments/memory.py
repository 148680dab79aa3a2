"""An episodic store with retrieval: what was met, what was done about it, and how well that went.

Of exchangeable scores a rule "keep what is above the median" would hold half, of rising ones nearly all: so when it is full,
the lower half is dropped (arXiv 2411.03562 keeps its rule to itself).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sharpen.environments.retrieval import Index


@dataclass(frozen=True)
class Remembered:
    """What was met, in words that a search can find; what was done; how well that went."""

    met: str
    done: str
    score: float


@dataclass
class Memory:
    """most: entries that are kept before the lower half of them goes."""

    most: int = 256
    entries: list[Remembered] = field(default_factory=list)

    def add(self, met: str, done: str, score: float) -> None:
        self.entries.append(Remembered(met, done, score))
        if len(self.entries) > self.most:
            best = sorted(range(len(self.entries)), key=lambda i: (-self.entries[i].score, -i))[: (self.most + 1) // 2]
            self.entries = [self.entries[i] for i in sorted(best)]

    def recall(self, met: str, k: int = 2) -> list[str]:
        """What was done about the k entries that are most like this, the better of equals first; fewer where none is."""
        if not self.entries or k < 1:
            return []
        scores = Index([entry.met for entry in self.entries]).scores(met)
        order = sorted(range(len(scores)), key=lambda i: (-round(float(scores[i]), 9), -self.entries[i].score, -i))
        return [self.entries[i].done for i in order[:k] if scores[i] > 0]


def told(recalled: Sequence[str]) -> str:
    """What a model is shown of it."""
    return "\n".join(["What worked before:", *recalled]) if recalled else ""
