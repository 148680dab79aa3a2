"""Between the stages of a run: whose weights go on, and whether they are good enough.

A hand-over maps the accepted rounds of a stage, its first weights first, each a mapping with `round` and `accuracy` (on the
validation stream), to {number of round: share}. What goes on is the mean of those rounds' weights, weighted by the shares,
which add up to 1. It is asked after each accepted round; a round to which it gives nothing is forgotten, but for the first. A
gate is a guard, asked about a stage instead of a round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Decision, Evaluation, UserError


def last(rounds: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """The weights that were accepted last: with `always` as guard those that were learned last."""
    return {rounds[-1]["round"]: 1.0}


def best(rounds: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """The weights with the highest accuracy, of equal ones the earliest: the first weights where nothing was better.

    The best of many noisy figures flatters itself; the weights that go on are measured by the next stage's rounds.
    """
    return {max(rounds, key=lambda r: r["accuracy"])["round"]: 1.0}


def between(rounds: Sequence[Mapping[str, Any]], alpha: float = 0.5) -> dict[int, float]:
    """(1 - alpha) * the first weights + alpha * the last ones: what a stage forgot comes back, for a part of what it learned.

    alpha 0 and 1 are the two themselves, bit for bit. Source: WiSE-FT, arXiv 2109.01903. Raises UserError unless
    0 <= alpha <= 1.
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"between needs 0 <= alpha <= 1, got alpha={alpha}: 0 is a stage's first weights, 1 its last.")
    shares = {rounds[0]["round"]: 1 - alpha} | {rounds[-1]["round"]: alpha if len(rounds) > 1 else 1.0}
    return {number: share for number, share in shares.items() if share}


def mean(rounds: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """The mean of all weights that were accepted in the stage; its first weights only where there are no others.

    Source: model soups, arXiv 2203.05482, over one trajectory. Each accepted round stays on the disk until the stage ends.
    """
    learned = rounds[1:] or rounds
    return {r["round"]: 1 / len(learned) for r in learned}


def both(rounds: Sequence[Mapping[str, Any]], scale: float = 1.0) -> dict[int, float]:
    """The first weights and the last ones, 1 - scale and scale: for a `Stage.merge` that goes from the first to the last."""
    return {rounds[0]["round"]: 1 - scale, rounds[-1]["round"]: scale} if len(rounds) > 1 else {rounds[0]["round"]: 1.0}


def away(rounds: Sequence[Mapping[str, Any]], weight: float = 0.5) -> dict[int, float]:
    """(1 + weight) * the first weights - weight * the last ones: away from what a stage that learnt from its own samples did.

    Source: Neon, arXiv 2510.03597, equation 4. weight -1 is the last weights, 0 the first.
    """
    first, last = rounds[0]["round"], rounds[-1]["round"]
    return {n: s for n, s in {first: 1 + weight, last: -weight}.items() if s} if len(rounds) > 1 else {first: 1.0}


def reached(before: Evaluation, after: Evaluation, least: float = 0.5) -> Decision:
    """A gate: the accuracy on the validation stream, mean over arms, is at least `least`."""
    numbers = {"before": before.accuracy, "after": after.accuracy, "least": least}
    word = "reached" if after.accuracy >= least else "missed"
    answer = "better" if word == "reached" else "worse"
    return Decision(answer, f"{after.accuracy:.1%} {word} the {least:.1%} asked for", numbers)
