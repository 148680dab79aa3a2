"""Exploration and exploitation in balance: at which temperature, and above which reward, are enough right answers selected?

Zeng et al., "B-STaR: Monitoring and Balancing Exploration and Exploitation in Self-Taught Reasoners", arXiv 2412.17256. The
balance score of a question is min(n' / n*, 1) * n' / n, of n answers that are selected and n' of these that are right; the
setting with the highest mean is taken for what comes next. Here a share of each step's questions is asked at the temperatures
of a grid, so that the score of each is always known; what is known fades by half in HALF steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Sample, Task
from sharpen.data.selection import keep_correct

GRID = (0.6, 0.8, 1.0, 1.2)
THRESHOLDS = (0.0, 0.5)  # of the reward, above which an answer is selected
PROBED = 4  # one question in so many is asked at a temperature of the grid
FADES = 0.9  # of what a step has shown, after each further one
KEY = "b_star"


def score(right: int, selected: int, target: int) -> float:
    """min(right / target, 1) * right / selected; 0 where nothing is selected. 1 where at least `target` are, all right."""
    return min(right / target, 1.0) * right / selected if selected else 0.0


def temperature_of(task: Task, known: Mapping[str, Any]) -> float:
    """At which temperature a question is asked: by its hash, one of the grid, or the one that was best so far."""
    place = int(task.id, 16)
    if place % PROBED == 0:
        return GRID[(place // PROBED + int(known.get("steps", 0))) % len(GRID)]
    return float(known.get("temperature", 1.0))


def balanced(samples: Sequence[Sample], target: int = 4, distinct: bool = True, *, library: dict[str, Any]) -> list[Sample]:
    """The right answers above the threshold of the moment; and what this step says of every temperature and threshold is
    noted."""
    known: dict[str, Any] = library.setdefault(KEY, {"steps": 0, "temperature": 1.0, "threshold": 0.0, "seen": {}})
    groups: dict[int, list[Sample]] = {}
    for sample in samples:
        if sample.verdict.reward is not None:
            groups.setdefault(sample.group, []).append(sample)
    threshold = float(known["threshold"])
    kept = [s for s in samples if (s.verdict.reward or 0.0) > threshold]
    seen: dict[str, list[float]] = {key: [FADES * total, FADES * n] for key, (total, n) in known["seen"].items()}
    for own in groups.values():
        drawn = temperature_of(own[0].rollout.task, known)
        for least in THRESHOLDS:
            selected = [s for s in own if float(s.verdict.reward or 0.0) > least]
            value = score(sum(s.verdict.correct for s in selected), len(selected), target)
            total = seen.setdefault(f"{drawn:g} {least:g}", [0.0, 0.0])
            seen[f"{drawn:g} {least:g}"] = [total[0] + value, total[1] + 1]
    best = max(seen, key=lambda key: (seen[key][0] / seen[key][1] if seen[key][1] else 0.0, key), default="1 0")
    drawn, least = map(float, best.split())
    library[KEY] = {"steps": known["steps"] + 1, "temperature": drawn, "threshold": least, "seen": seen}
    return keep_correct(kept, distinct)
