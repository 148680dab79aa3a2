"""What an axis of a suite is, and what its items come to."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sharpen import verify
from sharpen.core import Task
from sharpen.estimate import Estimate, share

OWN = "suite"  # the verifier of tasks that an axis judges itself: nothing is told of the form of an answer
Play = Callable[[Task], Generator[Any, Any, Mapping[str, float]]]


@dataclass(frozen=True)
class Item:
    """One task of an axis as it was played: the seed of its first turn, what was said, and its measures, from 0 to 1 where the
    axis does not say otherwise; NaN where one does not apply. `failed` says why nothing came of it."""

    axis: str
    task: Task
    seed: int
    said: tuple[str, ...] = ()
    found: Mapping[str, float] = field(default_factory=dict)
    failed: str = ""


Summary = Callable[[Sequence[Item]], Mapping[str, float]]


def nothing(items: Sequence[Item]) -> dict[str, float]:
    return {}


@dataclass(frozen=True)
class Axis:
    """One thing that is measured.

    says     in one sentence, what a high value means
    draw     (n, seed) -> about n tasks; the same arguments give the same ones
    play     task -> generator that asks and returns measures
    summary  what is no mean over items, from all of them
    main     the measure by which models are compared
    """

    name: str
    says: str
    draw: Callable[[int, int], Sequence[Task]]
    play: Play
    summary: Summary = nothing
    main: str = "accuracy"


def right(task: Task, text: str) -> float:
    """1 or 0 by the task's verifier, or the one that its data name; NaN where it could not be judged."""
    verdict = verify.verify(replace(task, verifier=str(task.data.get("judged", task.verifier))), text)
    return math.nan if verdict.reward is None else float(verdict.correct)


def means(items: Sequence[Item]) -> dict[str, Estimate]:
    """Of each measure the mean over the items to which it applies: of shares with Wilson's interval, else with the normal
    one."""
    found: dict[str, Estimate] = {}
    for name in dict.fromkeys(name for item in items for name in item.found):
        values = np.array([item.found[name] for item in items if not math.isnan(item.found.get(name, math.nan))])
        if not len(values):
            continue
        if values.min() >= 0 and values.max() <= 1:
            one = share(float(values.sum()), len(values))
        else:
            half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
            one = Estimate(float(values.mean()), float(values.mean()) - half, float(values.mean()) + half, len(values))
        if one is not None:
            found[name] = one
    return found


def of(items: Sequence[Item], name: str, **where: Any) -> np.ndarray:
    """The values of a measure, of those items whose task's data say so; without NaN."""
    kept = [i for i in items if all(i.task.data.get(k) == v for k, v in where.items())]
    values = np.array([i.found.get(name, math.nan) for i in kept], dtype=float)
    return values[~np.isnan(values)]


def mean(values: np.ndarray) -> float:
    """NaN of nothing, without a warning."""
    return float(values.mean()) if len(values) else math.nan
