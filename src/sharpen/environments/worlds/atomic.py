"""Cognitive Kernel (arXiv 2409.10277) in small: an action is a short program of primitives, or one entry of a menu.

    open page; find word; save name; recall name; answer name

Pages are long, and only a line that was found is shown; a saved line can be recalled after its page has gone. With `menu` in
the task's data only the composites of that menu are taken: what is in none of them cannot be done there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sharpen.core import Observation

MENU = ("open a; find price; answer it", "open b; find price; answer it")  # composites; none of them saves
WORDS = ("price", "weight", "colour")


def pages(seed: int) -> dict[str, dict[str, int]]:
    draw = random.Random(f"pages {seed}")
    return {page: {word: draw.randint(10, 99) for word in WORDS} for page in "abc"}


def wanted(task: Mapping[str, Any]) -> tuple[list[tuple[str, str]], int]:
    """The lines that are to be found, one for each level, and their sum."""
    seed, level = int(task.get("seed", 0)), min(max(int(task.get("level", 1)), 1), 3)
    draw, held = random.Random(f"wanted {seed}"), pages(seed)
    places = [(page, draw.choice(WORDS)) for page in draw.sample("abc", level)]
    return places, sum(held[page][word] for page, word in places)


class Atomic:
    """It takes words: a program."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.pages = pages(int(task.get("seed", 0)))
        self.places, self.right = wanted(task)
        self.menu = bool(task.get("menu"))
        self.at, self.saved, self.done = "", dict[str, int](), False
        self.line: int | None = None
        self.said: int | None = None
        return "Sum of " + ", ".join(f"{word} on {page}" for page, word in self.places)

    def step(self, action: str) -> Observation:
        if self.menu and action.strip() not in MENU:
            raise ValueError(f"the menu has: {' | '.join(MENU)}")
        shown = [self.one(part.split()) for part in action.split(";")[:12] if part.split()]
        return Observation("; ".join(shown) or "nothing was done", self.done)

    def one(self, part: list[str]) -> str:
        verb, what = part[0], part[1] if len(part) > 1 else ""
        if verb == "open" and what in self.pages:
            self.at, self.line = what, None
            return f"page {what}"
        if verb == "find" and self.at and what in self.pages[self.at]:
            self.line = self.pages[self.at][what]
            return f"{what} {self.line}"
        if verb == "save" and self.line is not None and what:
            self.saved[what] = self.line
            return "saved"
        if verb == "recall" and what in self.saved:
            return f"{what} {self.saved[what]}"
        if verb == "answer":
            names = what.split("+")
            values = [self.line if name == "it" else self.saved.get(name) for name in names]
            if all(v is not None for v in values):
                self.said, self.done = sum(v for v in values if v is not None), True
                return "answered"
        raise ValueError(f"{' '.join(part)[:60]!r} cannot be done here")

    def reward(self) -> float:
        return float(self.said == self.right)


def solution(task: Mapping[str, Any]) -> list[str]:
    places, _ = wanted(task)
    steps = [f"open {page}; find {word}; save {page}" for page, word in places]
    return ["; ".join([*steps, "answer " + "+".join(page for page, _ in places)])]
