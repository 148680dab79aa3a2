"""tau-Trait (arXiv 2510.04491): a user wants a flight booked, and is patient, confused or skeptical as the task says.

Success is the last state of the database. `traits` of the task's data are those of `users.Traits`; level n asks for n slots.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sharpen.environments.users import Traits, User

CITIES = ("Oslo", "Rome", "Lima", "Cairo")
SLOTS = {"from": CITIES, "to": CITIES, "day": ("Monday", "Tuesday", "Friday"), "seat": ("aisle", "window")}


def wanted(task: Mapping[str, Any]) -> dict[str, str]:
    draw, slots = random.Random(f"flight {task.get('seed', 0)}"), min(max(int(task.get("level", 3)), 1), len(SLOTS))
    chosen = {name: draw.choice(values) for name, values in list(SLOTS.items())[:slots]}
    if chosen.get("to") == chosen["from"]:
        chosen["to"] = CITIES[(CITIES.index(chosen["from"]) + 1) % len(CITIES)]
    return chosen


class Airline:
    """Tools: ask, confirm, book."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.facts = wanted(task)
        traits = Traits(**dict(task.get("traits", {})))
        self.user = User(self.facts, SLOTS, traits, int(task.get("seed", 0)))
        self.booked: dict[str, str] | None = None
        self.done = False
        return f"A customer wants a flight. Find out: {', '.join(self.facts)}. Then book it."

    def ask(self, slot: str) -> str:
        """Ask the customer for something.

        slot  from, to, day or seat
        """
        said = self.user.ask(slot)
        self.done = self.user.left
        return said

    def confirm(self, slot: str, value: str) -> str:
        """Ask the customer whether something is right.

        slot   from, to, day or seat
        value  what it should be
        """
        said = self.user.confirm(slot, value)
        self.done = self.user.left
        return said

    def book(self, slots: dict) -> str:
        """Book the flight.

        slots  what was found out, by name
        """
        self.booked, self.done = {str(k): str(v) for k, v in slots.items()}, True
        return "booked"

    def reward(self) -> float:
        return float(self.booked == self.facts)


def solution(task: Mapping[str, Any]) -> list[str]:
    """Ask for each slot, then book."""
    facts = wanted(task)
    given = ", ".join(f'"{k}": "{v}"' for k, v in facts.items())
    return [*(f'ask(slot="{name}")' for name in facts), f"book(slots={{{given}}})"]
