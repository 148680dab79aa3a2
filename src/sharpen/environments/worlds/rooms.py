"""A key, a door and a goal on a grid, told in words; and the same with beacons: goals on the way, named one after the other.

A room of `level` + 2 cells a side, a wall with one door in it, and behind it another room with the goal. Actions: up, down,
left, right, take, open. The reward is 1 at the goal and 0 elsewhere, so a student that wanders meets none for long.

With beacons the goal on the way is said beside what is seen; each pays `bonus` * (1 - t / T) the first time that it is
reached, and all of them together less than the goal. In the task's data: `bonus`; `wrong`, the share of beacons that name
another cell, as a teacher's do that hallucinates; `potential`, true for the form that changes no best policy (`shaped`).
Source: Words as Beacons (arXiv 2410.08632), on MiniGrid; its constant is not stated, so this one is ours.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Observation, Verdict

Cell = tuple[int, int]
MOVES: Mapping[str, Cell] = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
BONUS = 0.1  # each; three of them are less than the goal
STEPS = 16  # for each cell of a side


class Rooms:
    """It takes words: the last action that is named is done."""

    def reset(self, task: Mapping[str, Any]) -> str:
        draw, self.side = random.Random(f"rooms {task.get('seed', 0)}"), min(max(int(task.get("level", 1)), 1), 8) + 2
        self.wall = self.side  # its column; cells left and right of it are side x side
        self.door = (self.wall, draw.randrange(self.side))
        left = [(x, y) for x in range(self.side) for y in range(self.side)]
        self.at, self.key = draw.sample(left, 2)
        self.goal = (self.wall + 1 + draw.randrange(self.side), draw.randrange(self.side))
        self.held = self.opened = self.done = False
        self.limit, self.t = STEPS * self.side, 0
        return self.seen()

    def seen(self) -> str:
        key = "held" if self.held else told(self.key)
        return f"at {told(self.at)} key {key} door {told(self.door)} {'open' if self.opened else 'shut'} goal {told(self.goal)}"

    def step(self, action: str) -> Observation:
        words = [word for word in action.lower().split() if word in (*MOVES, "take", "open")]
        if not words:
            raise ValueError(f"this names no action. There are: {', '.join((*MOVES, 'take', 'open'))}")
        self.t += 1
        self.act(words[-1])
        self.done = self.at == self.goal or self.t >= self.limit
        return Observation(self.seen(), self.done)

    def act(self, word: str) -> None:
        if word == "take":
            self.held = self.held or self.at == self.key
        elif word == "open":
            self.opened = self.opened or (self.held and beside(self.at, self.door))
        else:
            to = (self.at[0] + MOVES[word][0], self.at[1] + MOVES[word][1])
            inside = 0 <= to[1] < self.side and 0 <= to[0] <= 2 * self.wall and to[0] != self.wall
            self.at = to if inside or (to == self.door and self.opened) else self.at

    def reward(self) -> Verdict:
        won = self.at == self.goal
        return Verdict("correct" if won else "wrong", float(won), {"steps": float(self.t)}, rule="goal")


class Beacons(Rooms):
    """`Rooms` with a goal on the way."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.names: list[tuple[str, Cell]] = []
        super().reset(task)
        true = [("key", self.key), ("door", (self.wall - 1, self.door[1])), ("behind", (self.wall + 1, self.door[1]))]
        draw = random.Random(f"beacons {task.get('seed', 0)}")
        wrong = float(task.get("wrong", 0.0))
        cells = [(x, y) for x in range(self.side) for y in range(self.side)]
        self.names = [(name, draw.choice(cells) if draw.random() < wrong else cell) for name, cell in true]
        self.bonus = min(float(task.get("bonus", BONUS)), 0.99 / len(self.names))
        self.potential, self.lit, self.earned = bool(task.get("potential")), 0, 0.0
        return self.seen()

    def seen(self) -> str:
        left = self.names[self.lit :] if self.names else []
        return super().seen() + (f" next {left[0][0]} {told(left[0][1])}" if left else "")

    def step(self, action: str) -> Observation:
        found = super().step(action)
        while self.lit < len(self.names) and self.at == self.names[self.lit][1] and self.ready():
            self.earned += self.bonus * (1 - self.t / self.limit)
            self.lit += 1
        return Observation(self.seen(), found.done, {"beacons": float(self.lit)})

    def ready(self) -> bool:
        """The key's is reached when it is taken, the door's when it is open."""
        return (self.held, self.opened, True)[self.lit]

    def reward(self) -> Verdict:
        won = self.at == self.goal
        parts = {"steps": float(self.t), "beacons": float(self.lit), "bonus": self.earned}
        # A potential of goals reached adds up to nothing over an episode that ends at the goal: only what is lost is paid for.
        more = 0.0 if self.potential and won else self.earned
        return Verdict(
            "correct" if won else "wrong", (float(won) + more) / (1 + 3 * self.bonus), parts, rule="goal and beacons"
        )


def told(cell: Cell) -> str:
    return f"{cell[0]},{cell[1]}"


def beside(a: Cell, b: Cell) -> bool:
    return abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1


def shaped(done: Sequence[int], gamma: float, bonus: float) -> list[float]:
    """The potential-based bonus of each step, gamma * phi(s') - phi(s) with phi = bonus * goals reached, for the numbers of
    goals reached after 0, 1, … steps. Discounted it adds up to the last phi less the first, whatever the way (Ng, Harada &
    Russell 1999): it changes no best policy."""
    return [bonus * (gamma * after - before) for before, after in zip(done, done[1:], strict=False)]


def walk(start: Cell, end: Cell) -> list[str]:
    """Within one room: first to the side, then up or down."""
    across, along = end[0] - start[0], end[1] - start[1]
    return ["right" if across > 0 else "left"] * abs(across) + ["down" if along > 0 else "up"] * abs(along)


def solution(task: Mapping[str, Any]) -> list[str]:
    world = Rooms()
    world.reset(task)
    before, behind = (world.wall - 1, world.door[1]), (world.wall + 1, world.door[1])
    first, second, last = walk(world.at, world.key), walk(world.key, before), walk(behind, world.goal)
    return [*first, "take", *second, "open", "right", "right", *last]
