"""A progress that also notes what it shows in a file, for whoever looks on (`sharpen view`)."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

EVERY = 1.0  # seconds between two notes
LINES = 40  # of what was said that a note holds
LONGEST = 400  # characters of a line
LARGEST = 1 << 18  # bytes of a note


class Noted:
    """Passes everything on to `shown`, and keeps RUN/now.json: pid, at, phase, total, done, numbers and the latest lines said.

    It is no part of the run: nothing reads it to decide, nothing waits for the disk, and where it cannot be written it is not.
    """

    def __init__(self, shown: Any, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown, self._directory, self._clock = shown, directory, clock
        self._phases: dict[str, tuple[int | None, int]] = {}
        self._name, self._said = "", deque[str](maxlen=LINES)
        self._numbers: dict[str, float] = {}
        self._noted = -EVERY

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        self._shown.phase(name, total, done)
        known = self._phases.get(name)
        if known is None or known[0] != total or (total is not None and known[1] >= total):
            self._phases[name] = total, done
        self._name = name
        self._note()

    def advance(self, n: int = 1, **numbers: float | None) -> None:
        self._shown.advance(n, **numbers)
        self._numbers = {key: value for key, value in {**self._numbers, **numbers}.items() if value is not None}
        if self._name:
            total, done = self._phases[self._name]
            self._phases[self._name] = total, done + n
        self._note()

    def say(self, text: str) -> None:
        self._shown.say(text)
        self._said.append(text[:LONGEST])
        self._note()

    def interruptible(self) -> AbstractContextManager[Callable[[], bool]]:
        return self._shown.interruptible()

    def _note(self) -> None:
        now = self._clock()
        if now - self._noted < EVERY or not (self._directory / "run.db").exists():
            return
        self._noted = now
        total, done = self._phases.get(self._name, (None, 0))
        said = {"pid": os.getpid(), "at": time.time(), "phase": self._name, "total": total, "done": done}
        text = json.dumps({**said, "numbers": self._numbers, "said": list(self._said)}, default=str)
        part = self._directory / "now.json.part"
        with suppress(OSError):  # a full disk, a directory that was moved: the run has its own words for that
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            part.replace(self._directory / "now.json")


def noted(directory: Path) -> dict[str, Any] | None:
    """What a run's process noted last, or None. It is a file like any other: whoever shows it trusts nothing in it."""
    try:
        with os.fdopen(os.open(directory / "now.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found = json.loads(file.read(LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    kinds: dict[str, Any] = {"pid": int, "at": (int, float), "phase": str, "done": int, "numbers": dict, "said": list}
    fits = isinstance(found, dict) and all(isinstance(found.get(key), kind) for key, kind in kinds.items())
    return found if fits and isinstance(found.get("total"), int | None) else None
