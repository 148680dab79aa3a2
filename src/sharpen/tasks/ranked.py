"""Passages to be put in order by a number that each of them states: a ranker's task whose right order is known exactly."""

from __future__ import annotations

from random import Random

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError
from sharpen.hashing import derive, split_of

TRIES = 500
LEVELS = 4  # level n has n + 2 passages
THINGS = "apples books coins eggs letters shells stamps tickets".split()


def ranked() -> TaskSource:
    """Three to six passages, a level for each number of them."""
    return TaskSource("ranked", tuple(Arm("ranked", n) for n in range(1, LEVELS + 1)), draw, languages=frozenset())


def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
    """The task of that number; a pure function of its arguments. Raises UserError where TRIES draws found none of the split."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    for attempt in range(TRIES):
        rng = Random(derive(seed, split, arm.family, arm.level, index, attempt))
        things = rng.sample(THINGS, arm.level + 2)
        counts = rng.sample(range(10, 100), arm.level + 2)
        listed = "; ".join(f"{i}: {n} {thing}" for i, (n, thing) in enumerate(zip(counts, things), 1))
        prompt = ({"role": "user", "content": f"Put in order, most first. {listed}"},)
        if split_of(prompt) == split:
            order = sorted(range(1, len(counts) + 1), key=lambda i: -counts[i - 1])
            answer = " ".join(map(str, order))
            data = {"order": order}
            return Task(prompt, answer, arm.family, arm.level, split, "numbers", data, f"<answer>{answer}</answer>")
    raise UserError(f"{arm} has no question in the {split} split: {TRIES} draws found none.")
