"""Numbers that follow what a run shows: the temperature by the balance score, the learning rate by the guard.

Pure functions of what the store holds, so a run that is resumed decides the same. Each decision is a `Choice` with its reason.

1. Within a round steps take turns between the temperature in use and one beside it, so that both are measured on the same
   weights and cost nothing extra. At the round's end the better one is in use; where the other did not help, the other side is
   tried next.
2. Every round that the guard calls worse halves the learning rate, down to LEAST of what it was: what was learnt did harm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

NAMES = ("lr", "temperature")  # what may be adapted
STEP = 1.15  # times the temperature in use
LOWEST, HIGHEST = 0.5, 1.3  # temperatures; a recipe may begin outside of them
FEWEST = 3  # steps at each of two temperatures, to compare them
LEAST = 1 / 8  # of the learning rate
TARGET = 0.5  # share of a group's answers that are right and unlike each other, from which more count for nothing


@dataclass(frozen=True)
class Choice:
    """What became of a number after round `round`, and why."""

    round: int
    name: str
    before: float
    after: float
    reason: str

    def __str__(self) -> str:
        return f"{self.name} {self.before:g} -> {self.after:g}: {self.reason}"


@dataclass(frozen=True)
class Heat:
    """Temperatures of the steps to come: of even ones, and of odd ones. Equal where nothing is tried."""

    used: float
    tried: float

    def at(self, step: int) -> float:
        return self.tried if step % 2 else self.used


def balance(groups: Iterable[Sequence[tuple[str, bool]]]) -> float | None:
    """The balance score: the mean over groups of min(u / n*, 1) * (c / n), for c right ones of n answers, u of them unlike each
    other; None without groups. High where answers are both right and various: low temperatures lack the second, high ones the
    first. Source: B-STaR, arXiv 2412.17256, section 3; its n* is 8 of 64 answers of which some were selected, here TARGET of a
    group that is learnt from whole.
    """
    scores = []
    for group in groups:
        right = [text for text, correct in group if correct]
        enough = max(TARGET * len(group), 1.0)
        scores.append(min(len(set(right)) / enough, 1.0) * len(right) / len(group))
    return fmean(scores) if scores else None


def heat(start: float, steps: Sequence[Mapping[str, Any]], number: int) -> tuple[Heat, list[Choice]]:
    """The temperatures of round `number`, from the steps of the rounds before it (round, temperature, balance)."""
    used, up, made = start, True, list[Choice]()
    tried = beside(used, up)
    for done in sorted({s["round"] for s in steps if s["round"] < number}):
        own = [s for s in steps if s["round"] == done and s.get("balance") is not None]
        old, new = ([s["balance"] for s in own if s["temperature"] == t] for t in (used, tried))
        if tried != used and min(len(old), len(new)) >= FEWEST:
            gain, error = fmean(new) - fmean(old), math.sqrt(variance(old) / len(old) + variance(new) / len(new))
            if gain > error:
                why = f"balance score {fmean(old):.3f} -> {fmean(new):.3f} in round {done}, more than the {error:.3f} of noise"
                made.append(Choice(done, "temperature", used, tried, why))
                used = tried
            else:
                up = not up
        tried = beside(used, up)
    return Heat(used, tried), made


def beside(used: float, up: bool) -> float:
    """The temperature to be tried: one STEP up or down, and no further than the bounds, or than `used` where that is beyond."""
    value = used * STEP if up else used / STEP
    return round(min(max(value, min(LOWEST, used)), max(HIGHEST, used)), 3)


def rate(start: float, rounds: Sequence[Mapping[str, Any]]) -> tuple[float, list[Choice]]:
    """The learning rate, from the guard's answers."""
    value, made = start, list[Choice]()
    for one in rounds:
        lower = max(value / 2, LEAST * start)
        if one["answer"] == "worse" and lower < value:
            made.append(Choice(one["round"], "lr", value, lower, f"round {one['round']} was worse"))
            value = lower
    return value, made
