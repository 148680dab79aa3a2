"""Plans: blocks that are stacked, in ever larger numbers, and journeys under constraints.

1. `blocks`: the innermost set of "Chain of Thoughtlessness" (Stechly et al., arXiv 2405.04776): all blocks on the table, one
   stack to build. With n blocks the plan has n - 1 moves, so an error of e a move gives success (1 - e)^(n - 1): e is read
   off the small sets, and a learner of the algorithm keeps to the curve on the large ones, a matcher of patterns falls below
   it. Each problem stands twice, the second time with other names.
2. `journeys`: what "Can We Rely on LLM Agents to Draft Long-Horizon Plans?" (arXiv 2408.06318) does with TravelPlanner, drawn
   here (tasks/travel.py): a plan from all lines, from those that matter, and after the verifier's feedback.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from sharpen import tasks
from sharpen.core import GREEDY, Ask, Task
from sharpen.hashing import derive
from sharpen.suites.axis import OWN, Axis, Item, mean, of
from sharpen.verify import journeys

SIZES = (2, 3, 4, 5, 6, 8, 10)
SMALL = (2, 3, 4)  # from which the error of a move is read
NAMES = "red blue green white black pink gray brown gold silver".split()
ODD = "zab quon ferl mib sotu rilk vesh dorn pluk wex".split()
BLOCKS = (
    "Blocks lie on the table: {names}. A move is written: X on Y. Only a block with nothing on it can be moved. "
    "Build one tower, from top to bottom: {goal}. Write the moves, one a line, and nothing else."
)


def blocks(n: int, seed: int) -> list[Task]:
    """Pairs of a problem and its twin with other names, over all sizes in turn."""
    made = []
    for i in range(n // 2):
        size = SIZES[i % len(SIZES)]
        rng = Random(derive(seed, "suite blocks", i))
        order = rng.sample(range(10), size)
        for twin, names in enumerate((NAMES, ODD)):
            goal = [names[k] for k in order]
            asked = BLOCKS.format(names=", ".join(sorted(goal)), goal=", ".join(goal))
            data = {"goal": goal, "size": size, "twin": twin}
            made.append(Task(({"role": "user", "content": asked},), None, "blocks", 1, "test", OWN, data))
    return made


def planned(task: Task) -> Generator[Any, Any, dict[str, float]]:
    turn = yield Ask(task.prompt, sampling=GREEDY)
    return {"accuracy": float(stacks(turn.text, task.data["goal"]))}


def stacks(text: str, goal: Sequence[str]) -> bool:
    """Whether the moves, in this order, are allowed and build the tower."""
    below: dict[str, str] = dict.fromkeys(goal, "table")
    moves = [m.groups() for line in text.lower().splitlines() if (m := re.fullmatch(r"\W*(\w+) on (?:the )?(\w+)\W*", line))]
    for block, to in moves:
        clear = block in below and block not in below.values()
        if not clear or block == to or (to != "table" and (to not in below or to in below.values())):
            return False
        below[block] = to
    wanted = {upper: lower for upper, lower in zip(goal, goal[1:])} | {goal[-1]: "table"}
    return bool(moves) and below == wanted


def generalisation(items: Sequence[Item]) -> dict[str, float]:
    """Accuracy on large sets over what the error of a move on small ones predicts, and what other names cost."""
    small = {size: mean(of(items, "accuracy", size=size)) for size in SMALL}
    known = {size: rate for size, rate in small.items() if rate > 0}
    found = {f"size {size}": mean(of(items, "accuracy", size=size)) for size in SIZES}
    if known:
        error = mean_error(known)
        large = [size for size in SIZES if size not in SMALL and not math.isnan(found[f"size {size}"])]
        predicted = [(1 - error) ** (size - 1) for size in large]
        if large and sum(predicted) > 0:
            found["of what small ones predict"] = sum(found[f"size {s}"] for s in large) / sum(predicted)
        found["error of a move"] = error
    first, second = (mean(of(items, "accuracy", twin=t)) for t in (0, 1))
    return found | {"other names cost": first - second}


def mean_error(rates: Mapping[int, float]) -> float:
    """e of (1 - e)^(n - 1), the mean over sizes of what each says."""
    return sum(1 - rate ** (1 / (size - 1)) for size, rate in rates.items()) / len(rates)


def travels(n: int, seed: int) -> list[Task]:
    """Two to four days; half with lines that no plan needs."""
    made = [tasks.travel.drawn(Random(derive(seed, "suite journeys", i)), 1 + i % 3, noise=bool(i % 2)) for i in range(n)]
    return [replace(task, verifier=OWN) for task in made]


def travelled(task: Task) -> Generator[Any, Any, dict[str, float]]:
    """A plan; the same from scrubbed offers; and one after the verifier's feedback."""
    clean = tasks.travel.scrubbed(task)
    first, scrub = yield [Ask(task.prompt, sampling=GREEDY), Ask(({"role": "user", "content": clean},), sampling=GREEDY)]
    failed = journeys.faults(task, first.text)
    words = f"That plan {journeys.feedback(failed)}. Write a plan that passes all."
    again = yield Ask(({"role": "user", "content": words},), after=first, sampling=GREEDY)
    read = "form" not in failed
    return {
        "accuracy": float(not failed),
        "delivered": float(read),
        **{f"keeps {name}": float(name not in failed) if read else math.nan for name in journeys.CONSTRAINTS[1:]},
        "scrubbed": float(not journeys.faults(task, scrub.text)),
        "after feedback": float(not failed or not journeys.faults(task, again.text)),
    }


AXES = (
    Axis("blocks", "valid plans for towers of ever more blocks", blocks, planned, generalisation),
    Axis("journeys", "plans that keep all constraints", travels, travelled),
)
