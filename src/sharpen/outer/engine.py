"""One small engine for outer loops: propose, measure, keep what is known, halve; choose on one split, report on another.

    history, done = History(path), 20
    engine.search(history, propose, measure, done)

`propose(history) -> (values, who, parents)` and `measure(candidate, share of the budget) -> Score` are functions; measure
raises `Failed` for a candidate that comes to nothing. Killed anywhere and begun again with the same history it goes on as if it
had never been killed, where propose is a function of the history and measure can be repeated.

Successive halving on pauses (Li et al., arXiv 1810.05934, Algorithm 2, ASHA): candidates are measured at the lowest of `rungs`,
shares of the full budget; one of the best 1/eta of a rung goes on to the next as soon as there is one, else a new one begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpen.core import UserError
from sharpen.outer.history import Candidate, Failed, Failure, History, Score, finished

Proposed = tuple[Mapping[str, Any], str, tuple[int, ...]]
Propose = Callable[[History], Proposed]
Measure = Callable[[Candidate, float], Score]
ETA = 3
WHOLE = (1.0,)


def search(
    history: History,
    propose: Propose,
    measure: Measure,
    trials: int,
    rungs: Sequence[float] = WHOLE,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Go on until so many candidates were proposed and all that may go on has. UserError where every one failed."""
    while (job := following(history, trials, rungs)) is not None:
        candidate, rung = job
        if candidate is None:
            values, who, parents = propose(history)
            candidate = Candidate(len(history.candidates), dict(values), who, parents)
            history.add(candidate)
        attempt(history, candidate, rung, measure, say)
    if not history.scores():
        raise UserError(all_failed(history))


def attempt(
    history: History, candidate: Candidate, rung: float, measure: Measure, say: Callable[[str], None] = lambda text: None
) -> None:
    """Measure a candidate once more, and note what came of it: a score, or why there is none."""
    try:
        score = measure(candidate, rung)
        if not math.isfinite(score.value):
            raise Failed("its score is no finite number")
        history.add(score)
        say(f"{candidate.number}: {score.value:.4g} at {rung:.0%} ({candidate.by}) {told(candidate.values)}")
    except Failed as failed:
        history.add(Failure(candidate.number, str(failed), failed.wall))
        say(f"{candidate.number} failed ({candidate.by}): {failed}")


def following(history: History, trials: int, rungs: Sequence[float]) -> tuple[Candidate | None, float] | None:
    """What is to be measured next, and at which rung; (None, rung): a new one; None: nothing.

    One that was proposed and then forgotten by a kill comes first; then whoever may go on, the highest rung first.
    """
    known = finished(history.entries)
    begun = [c for c in history.candidates if c.number not in known]
    if begun:
        return begun[0], rungs[0]
    by_number = {c.number: c for c in history.candidates}
    for low, high in reversed(list(zip(rungs, rungs[1:]))):
        if (number := promoted(history, low, high)) is not None:
            return by_number[number], high
    return (None, rungs[0]) if len(history.candidates) < trials else None


def promoted(history: History, low: float, high: float) -> int | None:
    """The best candidate of a rung that is among its best 1/ETA and was not taken to the next one; None where there is none."""
    at = {s.number: s.value for s in history.of(Score) if s.rung == low}
    gone = {s.number for s in history.of(Score) if s.rung == high} | history.failed.keys()
    best = sorted(at, key=lambda n: (-at[n], n))[: len(at) // ETA]
    return next((number for number in best if number not in gone), None)


def rungs(levels: int) -> tuple[float, ...]:
    """Shares of the full budget: ETA times as much at each level, all of it at the last."""
    return tuple(ETA ** -(levels - 1.0 - level) for level in range(levels))


def best(history: History) -> Candidate:
    """Who has the highest score at the highest rung that anybody reached; of equals the first. UserError where all failed."""
    scores = history.scores()
    if not scores:
        raise UserError(all_failed(history))
    top = max(score.rung for score in scores.values())
    number = max((n for n, s in scores.items() if s.rung == top), key=lambda n: (scores[n].value, -n))
    return next(c for c in history.candidates if c.number == number)


def all_failed(history: History) -> str:
    reasons = [reason.rstrip(".") for reason in dict.fromkeys(history.failed.values())]
    said = "; ".join(reasons[:3]) or "nothing was tried"
    return f"All {len(history.failed)} candidates failed, so there is nothing to choose from: {said}. Mend that, or allow less."


def told(values: Mapping[str, Any]) -> str:
    """A candidate for people: what it changes, or its settings."""
    return str(values["change"]) if "change" in values else " ".join(f"{key}={value}" for key, value in values.items())


@dataclass(frozen=True)
class Optimism:
    """What choosing on one split says beyond what another split does.

    chosen    gain of the winner over the base, where it was chosen
    reported  the same on the other split
    expected  what the best of so many equal candidates would be above their mean by luck alone: error * E[max of n normals]
    """

    chosen: float
    reported: float
    expected: float

    @property
    def gap(self) -> float:
        return self.chosen - self.reported


def luck(n: int, error: float) -> float:
    """error * E[max of n standard normals], by Blom's approximation (1958), within 0.02 from n = 2; 0 below that."""
    if n < 2 or error <= 0:
        return 0.0
    return error * quantile((n - 0.375) / (n + 0.25))


def quantile(p: float) -> float:
    """Of the standard normal."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def spread(scores: Sequence[Score]) -> float:
    """The standard error of a score: their own, where they have one, else what repeated values say."""
    known = [s.error for s in scores if s.error > 0]
    return float(np.median(known)) if known else 0.0
