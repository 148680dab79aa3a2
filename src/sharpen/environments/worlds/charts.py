"""HAIChart (arXiv 2406.11033): a chart is built clause by clause, and a user whose taste is hidden accepts or refuses hints.

Seven slots; `random_move` is the chance of a random clause in its graph search, `select` the choice otherwise. A wish that was
granted is a hard constraint on what is legal afterwards. The score is of the data, the rules of design, and the hidden taste.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

SLOTS: Mapping[str, tuple[str, ...]] = {
    "mark": ("bar", "line", "point"),
    "x": ("month", "city"),
    "y": ("sales", "rain"),
    "aggregate": ("sum", "mean"),
    "bin": ("no", "yes"),
    "group": ("none", "city"),
    "sort": ("no", "yes"),
}
Chart = Mapping[str, str]


def random_move(unfilled: int, slots: int = 7) -> float:
    """exp(-0.8 * (1 - b / 7)): 1 at the root, 0.449 where nothing is open."""
    return math.exp(-0.8 * (1 - unfilled / slots))


def select(values: Sequence[float], visits: Sequence[int], parent: int, c: float = 1.5) -> int:
    """The edge with the largest value / visits + c * sqrt(2 ln N / visits), those never taken first (the released mcgs.py)."""
    unvisited = [i for i, n in enumerate(visits) if n == 0]
    if unvisited:
        return unvisited[0]
    scores = [v / n + c * math.sqrt(2 * math.log(max(parent, 1)) / n) for v, n in zip(values, visits)]
    return max(range(len(scores)), key=scores.__getitem__)


def taste(seed: int) -> dict[str, str]:
    """What the user wants, which is sound."""
    draw = random.Random(f"taste {seed}")
    liked = {slot: draw.choice(values) for slot, values in SLOTS.items()}
    liked |= {"x": "month"} if liked["mark"] == "line" else {}
    return liked | ({"group": "none"} if liked["group"] == liked["x"] else {})


def score(chart: Chart, liked: Chart) -> float:
    """0 to 1: half for what is sound, a line over months rather than cities, half for what the user likes."""
    sound = 0.5 * (chart["mark"] != "line" or chart["x"] == "month") + 0.5 * (chart["group"] != chart["x"])
    return 0.5 * sound + 0.5 * sum(chart[slot] == liked[slot] for slot in SLOTS) / len(SLOTS)


def search(liked: Chart, fixed: Chart, rounds: int, seed: int, shared: bool = True) -> tuple[dict[str, str], float]:
    """The best chart of so many simulations that keeps what is fixed. `shared`: equal nodes are one, else it is a tree."""
    draw, best, found = random.Random(f"search {seed}"), -1.0, dict[str, str]()
    visits: dict[Any, int] = {}
    value: dict[Any, float] = {}
    for _ in range(rounds):
        chart = dict(fixed)
        path: list[Any] = []
        for slot in (s for s in SLOTS if s not in fixed):
            here = tuple(sorted(chart.items())) if shared else tuple(path)
            edges = [(here, slot, v) for v in SLOTS[slot]]
            if draw.random() < random_move(len(SLOTS) - len(chart)):
                edge = draw.choice(edges)
            else:
                counts = [visits.get(e, 0) for e in edges]
                edge = edges[select([value.get(e, 0.0) for e in edges], counts, max(sum(counts), 1))]
            path.append(edge)
            chart[slot] = edge[2]
        earned = score(chart, liked)
        for edge in path:
            visits[edge], value[edge] = visits.get(edge, 0) + 1, value.get(edge, 0.0) + earned
        if earned > best:
            best, found = earned, chart
    return found, best


class Charts:
    """Tools: hint, draw. A hint that the user likes is granted, and counts from then on."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.liked = taste(int(task.get("seed", 0)))
        self.granted: dict[str, str] = {}
        self.earned, self.done, self.hints = 0.0, False, 0
        return "Draw what I like. " + "; ".join(f"{slot}: {', '.join(values)}" for slot, values in SLOTS.items())

    def hint(self, slot: str, value: str) -> str:
        """Ask the user whether they want this.

        slot   of the chart
        value  that it could have
        """
        if value not in SLOTS.get(slot, ()):
            raise ValueError(f"{slot} has no {value!r}")
        self.hints += 1
        if self.liked[slot] == value:
            self.granted[slot] = value
        return "yes" if self.liked[slot] == value else "no"

    def draw(self, chart: dict) -> str:
        """Show a chart; that ends it.

        chart  a value for each slot
        """
        wrong = [slot for slot in SLOTS if chart.get(slot) not in SLOTS[slot]]
        broken = [slot for slot, value in self.granted.items() if chart.get(slot) != value]
        if wrong or broken:
            raise ValueError(f"{', '.join(wrong or broken)}: {'no such value' if wrong else 'the user wanted something else'}")
        self.earned, self.done = score(chart, self.liked), True
        return "shown"

    def reward(self) -> float:
        return round(self.earned, 6)


def solution(task: Mapping[str, Any]) -> list[str]:
    liked = taste(int(task.get("seed", 0)))
    hints = [f'hint(slot="{slot}", value="{value}")' for slot, value in list(liked.items())[:2]]
    return [*hints, "draw(chart={" + ", ".join(f'"{k}": "{v}"' for k, v in liked.items()) + "})"]
