"""Routes to a number, found by a search that is written out, with exactly so many wrong turns: what in imitation makes
practice work.

    From 3 to 16 with +5 *2 -1                 +5=8 *2=16<answer>+5 *2</answer>                  no wrong turn
                                               +5=8 -1=7 x *2=16<answer>+5 *2</answer>           one

Each operation is used at most once; a wrong turn is one operation that does not lead on, its result, and an x. The right route
is the only one of at most that length, so the answer is judged letter for letter. Source: How Much Backtracking is Enough
(arXiv 2505.24273), whose traces are of Countdown, Sudoku and two others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from random import Random

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError
from sharpen.hashing import derive, split_of

TRIES = 500
LEVELS = 3  # level n: routes of n + 1 operations among n + 2
MOST = 4  # wrong turns


def searching(backtracks: int = 1, permuted: bool = False) -> TaskSource:
    """Levels 1 to 3, worked solutions with that many wrong turns, or as many as the task allows.

    permuted  the results of steps are exchanged among them: the structure stays, nothing is right but the answer (a control)
    UserError unless 0 <= backtracks <= MOST.
    """
    if not 0 <= backtracks <= MOST:
        raise UserError(f"backtracks={backtracks}: there are 0 to {MOST} wrong turns in a solution.")

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
        for attempt in range(TRIES):
            rng = Random(derive(seed, split, arm.family, arm.level, index, attempt))
            made = problem(arm.level, rng)
            if made is None:
                continue
            start, operations, route = made
            target = result(start, route)
            prompt = ({"role": "user", "content": f"From {start} to {target} with {' '.join(operations)}"},)
            if split_of(prompt) == split:
                answer, worked = " ".join(route), trace(start, operations, route, backtracks, rng, permuted)
                return Task(prompt, answer, arm.family, arm.level, split, "exact", {}, f"{worked}<answer>{answer}</answer>")
        raise UserError(f"{arm} has no question in the {split} split: {TRIES} draws found none.")

    arms = tuple(Arm("searching", n) for n in range(1, LEVELS + 1))
    return TaskSource("searching", arms, draw, languages=frozenset())


def apply(value: int, operation: str) -> int:
    n = int(operation[1:])
    return value + n if operation[0] == "+" else value - n if operation[0] == "-" else value * n


def result(start: int, route: Sequence[str]) -> int:
    for operation in route:
        start = apply(start, operation)
    return start


def problem(level: int, rng: Random) -> tuple[int, list[str], list[str]] | None:
    """(start, operations, the one route); None where another route of at most that length leads there too."""
    start = rng.randint(1, 9)
    operations = [rng.choice("+-*") for _ in range(level + 2)]
    operations = [f"{sign}{rng.randint(2, 3) if sign == '*' else rng.randint(1, 9)}" for sign in operations]
    if len(set(operations)) < len(operations):
        return None
    route = rng.sample(operations, level + 1)
    target = result(start, route)
    routes = [r for n in range(1, level + 2) for r in permutations(operations, n) if result(start, r) == target]
    return (start, operations, route) if routes == [tuple(route)] else None


def trace(
    start: int, operations: Sequence[str], route: Sequence[str], backtracks: int, rng: Random, permuted: bool = False
) -> str:
    """The route with its results, and before its steps wrong turns, as evenly spread as they come; at most one for each
    operation that would not have led on."""
    free = {i: [o for o in operations if o not in route[: i + 1]] for i in range(len(route))}
    places = [(i, o) for i in free for o in free[i]]
    rng.shuffle(places)
    turns = places[:backtracks]
    said: list[tuple[str, int, bool]] = []
    value = start
    for i, operation in enumerate(route):
        said += [(o, apply(value, o), True) for at, o in turns if at == i]
        value = apply(value, operation)
        said.append((operation, value, False))
    results = [v for _, v, _ in said]
    if permuted:
        rng.shuffle(results)
    return " ".join(f"{o}={v}{' x' if wrong else ''}" for (o, _, wrong), v in zip(said, results, strict=True))


def turns_of(text: str) -> int:
    """Wrong turns that a solution or an answer writes out."""
    return text.partition("<answer>")[0].split().count("x")


def route_end(question: str, answer: str) -> bool:
    """Whether a route leads from the first number of a question to the second, each operation once."""
    said = re.fullmatch(r"From (-?\d+) to (-?\d+) with (.*)", question)
    if said is None or not answer.split():
        return False
    start, target, operations = int(said[1]), int(said[2]), said[3].split()
    return not Counter(answer.split()) - Counter(operations) and result(start, answer.split()) == target
