"""What happens between an attempt and the next: which right ones are spoilt, which wrong ones mended, and what it costs.

`each_turn` writes into a verdict's parts whether each attempt was right; from these, and from what was said, `between` counts,
and `curve` draws accuracy by turn. An attempt that was not made, because the episode was over, stands as the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sharpen.estimate import Estimate, change, share

LONGEST = 4000  # characters of an attempt that are compared; what comes later is taken to be alike


@dataclass(frozen=True)
class Episode:
    """Attempts at one task: whether each was right, what was said, and how many tokens were sampled for each; the latter two
    may be empty where nobody noted them."""

    right: tuple[bool, ...]
    said: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True)
class Flow:
    """Between two attempts: tasks by (right before, right after); copies are attempts that repeat the one before.

    tokens  sampled for the later attempt; distance: sum of the normalised edit distances to the one before; compared: how many
            pairs of texts that is of; repeated: texts that are equal but for spacing
    """

    kept: int = 0  # right, right
    spoilt: int = 0  # right, wrong
    mended: int = 0  # wrong, right
    stuck: int = 0  # wrong, wrong
    tokens: int = 0
    distance: float = 0.0
    compared: int = 0
    repeated: int = 0

    @property
    def n(self) -> int:
        return self.kept + self.spoilt + self.mended + self.stuck

    @property
    def confidence(self) -> Estimate | None:
        """CL, P(right after | right before). Source, here and for the next two: arXiv 2412.19513, section 3."""
        return share(self.kept, self.kept + self.spoilt)

    @property
    def critique(self) -> Estimate | None:
        """CS, P(right after | wrong before)."""
        return share(self.mended, self.mended + self.stuck)

    @property
    def relative(self) -> float | None:
        """RSS, the later accuracy between what to expect at worst, a^2, and at best, 1 - (1 - a)^2, of accuracy a before: as
        the authors' release computes it. None where all or none was right."""
        if not self.n or not 0 < (a := (self.kept + self.spoilt) / self.n) < 1:
            return None
        return ((self.kept + self.mended) / self.n - a * a) / (2 * a * (1 - a))

    @property
    def gain(self) -> Estimate | None:
        return change(self.mended, self.spoilt, self.n)

    @property
    def copies(self) -> Estimate | None:
        return share(self.repeated, self.compared)

    @property
    def tokens_per_point(self) -> float | None:
        """Tokens sampled for each percentage point that was gained over these tasks; None where nothing was."""
        points = 100 * (self.mended - self.spoilt) / self.n if self.n else 0.0
        return self.tokens / self.n / points if points > 0 else None


def episode(parts: Mapping[str, float], said: Sequence[str] = (), tokens: Sequence[int] = ()) -> Episode | None:
    """What the parts of a verdict say of the attempts; None where they say nothing, or of one attempt only."""
    right: list[bool] = []
    while (name := f"turn {len(right) + 1}") in parts:
        right.append(parts[name] > 0)
    if not right:
        return None
    said = tuple(said) if len(said) == len(right) else ()
    return Episode(tuple(right), said, tuple(tokens) if len(tokens) == len(right) else ())


def between(episodes: Sequence[Episode], most: int = 0) -> list[Flow]:
    """A flow for each two attempts that follow one another, of all episodes; those that ended earlier stay as they ended.

    most  attempts that an episode may have had; 0: the most that one had
    """
    longest = most or max((len(e.right) for e in episodes), default=0)
    found = []
    for n in range(1, longest):
        counts: dict[str, Any] = dict.fromkeys(("kept", "spoilt", "mended", "stuck", "tokens", "compared", "repeated"), 0)
        distance = 0.0
        for e in episodes:
            before, after = e.right[min(n - 1, len(e.right) - 1)], e.right[min(n, len(e.right) - 1)]
            counts[("kept" if after else "spoilt") if before else ("mended" if after else "stuck")] += 1
            if n < len(e.said):
                counts["compared"] += 1
                counts["repeated"] += e.said[n].split() == e.said[n - 1].split()
                distance += edit_distance(e.said[n - 1], e.said[n])
            counts["tokens"] += e.tokens[n] if n < len(e.tokens) else 0
        found.append(Flow(distance=distance, **counts))
    return found


def curve(episodes: Sequence[Episode], most: int = 0) -> list[Estimate]:
    """Accuracy after each attempt."""
    longest = most or max((len(e.right) for e in episodes), default=0)
    right = [sum(e.right[min(n, len(e.right) - 1)] for e in episodes) for n in range(longest)]
    return [e for k in right if (e := share(k, len(episodes)))]


def friction(accuracies: Sequence[float], target: float = 1.0) -> list[float | None]:
    """Of the way from the first accuracy to `target` the part that is still to go after each attempt: 1 at the first; 0 where
    feedback is used in full. None where there was no way to go. `target`: the accuracy of who is shown the solution.

    Source: what Feedback Friction (arXiv 2506.11930) plots, as one number.
    """
    way = target - accuracies[0] if accuracies else 0.0
    return [(target - a) / way if way > 0 else None for a in accuracies]


def independent(p: float, turns: int) -> list[float]:
    """What tries that do not learn from each other come to: 1 - (1 - p)^k after k."""
    return [1 - (1 - p) ** k for k in range(1, turns + 1)]


def never_twice(options: int, turns: int) -> list[float]:
    """What comes of never repeating a mistake among so many equally likely answers: k / options after k. Only feedback that
    says more than "wrong" gets above it."""
    return [min(k / options, 1.0) for k in range(1, turns + 1)]


def edit_distance(a: str, b: str) -> float:
    """Levenshtein's distance over the length of the longer text, 0 to 1; 0 for two empty ones."""
    a, b = a[:LONGEST], b[:LONGEST]
    if not a or not b or a == b:
        return 0.0 if a == b else 1.0
    other = np.frombuffer(b.encode("utf-32-le", "surrogatepass"), np.uint32)
    along = np.arange(len(other) + 1)
    row = along.copy()
    for i, letter in enumerate(a.encode("utf-32-le", "surrogatepass")[k : k + 4] for k in range(0, 4 * len(a), 4)):
        changed = row[:-1] + (other != int.from_bytes(letter, "little"))
        row = np.concatenate([[i + 1], np.minimum(changed, row[1:] + 1)])
        row = np.minimum.accumulate(row - along) + along  # insertions, all at once
    return float(row[-1]) / max(len(a), len(b))


def figures(episodes: Sequence[Episode], target: float = 1.0) -> dict[str, Any]:
    """All of it as JSON: accuracy by turn, friction, and a flow for each two turns; {} where nobody had a second attempt."""
    flows = between(episodes)
    if not flows:
        return {}
    by_turn = curve(episodes)
    return {
        "tasks": len(episodes),
        "accuracy": [shown(e) for e in by_turn],
        "friction": friction([e.value for e in by_turn], target),
        "between": [
            {
                "right_to_right": f.kept,
                "right_to_wrong": f.spoilt,
                "wrong_to_right": f.mended,
                "wrong_to_wrong": f.stuck,
                "right_to_wrong_share": shown(share(f.spoilt, f.n)),
                "wrong_to_right_share": shown(share(f.mended, f.n)),
                "gain": shown(f.gain),
                "confidence_level": shown(f.confidence),
                "critique_score": shown(f.critique),
                "relative_score": f.relative,
                "copies": shown(f.copies),
                "edit_distance": f.distance / f.compared if f.compared else None,
                "tokens_per_point": f.tokens_per_point,
            }
            for f in flows
        ],
    }


def shown(found: Estimate | None) -> dict[str, Any]:
    if found is None:
        return {"value": None, "ci95": None, "n": 0}
    return {"value": found.value, "ci95": [found.low, found.high], "n": found.n}


def mended_of_spoilt(flows: Sequence[Flow]) -> list[float | None]:
    """Right to wrong over wrong to right of each flow; None where nothing was mended."""
    return [f.spoilt / f.mended if f.mended else None for f in flows]


def repeats(said: Sequence[str]) -> bool:
    """Whether the last of these attempts says what the one before it says."""
    return any(a.split() == b.split() for a, b in list(pairwise(said))[-1:])
