"""Blocks world: plans held against the rules by `check`, and a search that a heuristic guides (arXiv 2503.18809).

A state says for each block what it stands on, 0 is the table. Greedy best-first search expands the state whose heuristic is
least and checks goals itself, so any plan it returns is valid however bad the heuristic is.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from typing import Any

State = tuple[int, ...]  # for blocks 1 to n, what each stands on
EXPANSIONS = 2000


def drawn(draw: random.Random, n: int) -> State:
    """Towers of n blocks."""
    order, below = draw.sample(range(1, n + 1), n), [0] * n
    for i, block in enumerate(order):
        below[block - 1] = order[i - 1] if i and draw.random() < 0.7 else 0
    return tuple(below)


def problem(seed: int, level: int) -> tuple[State, State]:
    draw, n = random.Random(f"blocks {seed}"), 2 + level
    start, goal = drawn(draw, n), drawn(draw, n)
    while goal == start:
        goal = drawn(draw, n)
    return start, goal


def moves(state: State) -> list[tuple[int, int]]:
    clear = [b for b in range(1, len(state) + 1) if b not in state]
    return [(b, to) for b in clear for to in (0, *clear) if to != b and state[b - 1] != to]


def move(state: State, block: int, to: int) -> State:
    """ValueError for what the rules do not allow."""
    if (block, to) not in moves(state):
        raise ValueError(f"block {block} cannot be put on {to or 'the table'}")
    return (*state[: block - 1], to, *state[block:])


def check(start: State, goal: State, plan: list[tuple[int, int]]) -> str:
    """ "valid", or what is wrong with a plan."""
    state = start
    for number, (block, to) in enumerate(plan, 1):
        try:
            state = move(state, block, to)
        except ValueError as error:
            return f"step {number}: {error}"
    return "valid" if state == goal else "the goal is not reached"


def gbfs(
    start: State, goal: State, h: Callable[[State, State], float], most: int = EXPANSIONS
) -> tuple[list[tuple[int, int]] | None, int]:
    """(plan or None, states that were expanded). A heuristic that raises or is not a number counts as infinite."""

    def worth(state: State) -> float:
        try:
            found = float(h(state, goal))
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return float("inf")
        return found if found == found else float("inf")

    number = itertools.count()
    line: list[Any] = [(worth(start), next(number), start, ())]
    seen, expanded = {start}, 0
    while line and expanded < most:
        _, _, state, plan = heapq.heappop(line)
        if state == goal:
            return list(plan), expanded
        expanded += 1
        for step in moves(state):
            after = move(state, *step)
            if after not in seen:
                seen.add(after)
                heapq.heappush(line, (worth(after), next(number), after, (*plan, step)))
    return None, expanded


def distance(goal: State, start: State) -> dict[State, int]:
    """The exact distance of every state to the goal, by breadth: moves can be taken back."""
    found, line = {goal: 0}, [goal]
    for state in line:
        for step in moves(state):
            after = move(state, *step)
            if after not in found:
                found[after] = found[state] + 1
                line.append(after)
    return found


class Planning:
    """Tools: check_plan, submit. A plan is a list of texts such as "3 on 1" and "2 on table"."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.start, self.goal = problem(int(task.get("seed", 0)), int(task.get("level", 1)))
        self.valid, self.done = False, False
        return f"Now: {said(self.start)}. Wanted: {said(self.goal)}."

    def check_plan(self, plan: list[str]) -> str:
        """Does this plan reach the goal?

        plan  moves such as "3 on 1" or "2 on table"
        """
        return check(self.start, self.goal, read(plan))

    def submit(self, plan: list[str]) -> str:
        """Hand the plan in.

        plan  moves such as "3 on 1" or "2 on table"
        """
        self.valid, self.done = check(self.start, self.goal, read(plan)) == "valid", True
        return "taken"

    def reward(self) -> float:
        return float(self.valid)


def said(state: State) -> str:
    return ", ".join(f"{block} on {below or 'table'}" for block, below in enumerate(state, 1))


def read(plan: list[str]) -> list[tuple[int, int]]:
    steps = []
    for text in plan[:100]:
        block, _, to = text.partition(" on ")
        if not block.strip().isdigit() or not (to.strip().isdigit() or to.strip() == "table"):
            raise ValueError(f"{text[:40]!r} is no move")
        steps.append((int(block), 0 if to.strip() == "table" else int(to)))
    return steps


def solution(task: Mapping[str, Any]) -> list[str]:
    start, goal = problem(int(task.get("seed", 0)), int(task.get("level", 1)))
    exact = distance(goal, start)
    plan, _ = gbfs(start, goal, lambda state, _: exact[state])
    moves_said = ", ".join(f'"{block} on {to or "table"}"' for block, to in plan or [])
    return [f"submit(plan=[{moves_said}])"]
