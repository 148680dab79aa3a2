"""Who learns how: what the student never does is shown to it, what it does now and then it learns from its own right answers,
what it always does it leaves alone. For `select`, beside the worked solutions (`demos`).

Source of the three ways: Metis-RISE (arXiv 2506.13056), abstract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sharpen import estimate
from sharpen.core import Sample, UserError
from sharpen.data.pairs import by_prompt
from sharpen.data.selection import keep_correct

WAYS = ("own", "expert", "nothing")


@dataclass(frozen=True)
class Routed:
    """The groups of a step, by number, each in one of the three ways; and those whose worked solution is missing."""

    own: tuple[int, ...] = ()
    expert: tuple[int, ...] = ()
    nothing: tuple[int, ...] = ()
    unshown: tuple[int, ...] = ()  # of `expert`: nobody wrote how


def way(right: int, tried: int, low: float = 0.0, high: float = 1.0, certain: bool = False) -> str:
    """One of WAYS, by the success rate of a task: "expert" at most `low`, "nothing" at least `high`, else "own".

    certain  by the 95 % interval of the rate: an expert only where even its upper end is at most `low`, nothing only where
             even its lower end is at least `high`. So little is known of few tries that it stays "own"; 0 of 8 is certainly
             below 1/3
    Raises UserError unless 0 <= low < high <= 1, ValueError where nothing was tried.
    """
    if not 0 <= low < high <= 1:
        raise UserError(f"a router needs 0 <= low < high <= 1, got low={low}, high={high}")
    if tried < 1:
        raise ValueError("a task that nobody tried goes no way")
    least, most = estimate.interval(right, tried) if certain else (right / tried, right / tried)
    return "expert" if most <= low else "nothing" if least >= high else "own"


def route(
    samples: Sequence[Sample], shown: Mapping[int, Sample], low: float = 0.0, high: float = 1.0, certain: bool = False
) -> Routed:
    """Every group that could be scored, in exactly one way."""
    found: dict[str, list[int]] = {name: [] for name in WAYS}
    for group in by_prompt(samples):
        right = sum(s.verdict.correct for s in group)
        found[way(right, len(group), low, high, certain)].append(group[0].group)
    own, expert, nothing = (tuple(found[name]) for name in WAYS)
    return Routed(own, expert, nothing, tuple(g for g in expert if g not in shown))


def routed(
    samples: Sequence[Sample],
    low: float = 0.0,
    high: float = 1.0,
    certain: bool = False,
    own: bool = True,
    expert: bool = True,
    *,
    demos: Sequence[Sample],
    notes: dict[str, Any],
) -> list[Sample]:
    """Right answers of the student's own where it sometimes succeeds, the worked solution where it does not, nothing else: for
    an objective that imitates. `own` and `expert` leave one of the two out.

    notes  `routes` counts the groups that went each way
    """
    shown = {demo.group: demo for demo in demos}
    ways = route(samples, shown, low, high, certain)
    counts = dict(notes.get("routes", {}))
    for name in (*WAYS, "unshown"):
        counts[name] = counts.get(name, 0) + len(getattr(ways, name))
    notes["routes"] = counts
    kept = keep_correct([s for s in samples if s.group in ways.own], distinct=True) if own else []
    return kept + [shown[g] for g in ways.expert if g in shown and expert]
