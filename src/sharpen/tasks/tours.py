"""Round trips over random cities: the answer names the settings of a search, and is worth what they save (verify/tours.py)."""

from __future__ import annotations

from random import Random

from sharpen.core import Arm, Task, TaskSource
from sharpen.hashing import derive

SIZES = {1: 15, 2: 25, 3: 40}
QUESTION = (
    "{n} cities, {kind}. A local search improves a round trip. Name its settings: H (2, 5, 10), candidates (5, 8, 20), "
    "depth (10, 50, 100), such as: H=5 candidates=8 depth=10"
)


def tours(cities: int = 0) -> TaskSource:
    """Three levels, of 15, 25 and 40 cities; `cities`: one level of that many."""
    sizes = {1: cities} if cities else SIZES
    arms = tuple(Arm("tours", level) for level in sizes)

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        rng = Random(derive(seed, "tours", split, arm.level, index))
        n, lumped = sizes[arm.level], rng.random() < 0.5
        centres = [(rng.random(), rng.random()) for _ in range(4)]
        made = [place(rng, centres if lumped else []) for _ in range(n)]
        words = QUESTION.format(n=n, kind="in lumps" if lumped else "all over")
        asked = ({"role": "user", "content": words},)
        return Task(asked, None, arm.family, arm.level, split, "tour", {"cities": made})

    return TaskSource("tours", arms, draw)


def place(rng: Random, centres: list[tuple[float, float]]) -> list[float]:
    """A city, anywhere or near one of the centres."""
    x, y = rng.choice(centres) if centres else (rng.random(), rng.random())
    spread = 0.05 if centres else 0.0
    return [round(x + rng.gauss(0, spread), 4), round(y + rng.gauss(0, spread), 4)]
