"""When there is news of a run, and what the page then shows of it.

Asking costs a few stats of files. The store is read only when it was written, for all who look on together, and never more than
SHARE of a processor, so that a run under watch is as fast as one that nobody watches.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.view import reading
from sharpen.view.reading import Look

SHARE = 0.005  # of a processor that goes into reading one run


def stamp(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return 0, 0


def signature(directory: Path) -> tuple[Any, ...]:
    """Changes with every commit, and with every decision."""
    return tuple(stamp(directory / name) for name in ("run.db", "run.db-wal", "asked"))


class Watched:
    """One run. `look` is the latest, or what is wrong with the store."""

    def __init__(
        self, directory: Path, clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self.directory, self._clock, self._spent = directory, clock, spent
        self._lock = threading.Lock()
        self._seen: tuple[Any, ...] | None = None
        self._next = 0.0
        self._found: Look | UserError | None = None
        self._curves: Mapping[str, Any] = {}
        self.started: Any = None  # a process that was started from the page
        self.version = 0

    def look(self, patient: bool = True) -> Look | UserError:
        """patient: an older look will do where the next one is not due yet; the first is never waited for."""
        with self._lock:
            now, before, seen = self._clock(), self._spent(), signature(self.directory)
            if self._found is None or (seen != self._seen and (now >= self._next or not patient)):
                try:
                    self._found = reading.look(self.directory)
                    self._curves = reading.curves(self._found)
                except UserError as error:
                    self._found = error
                self._seen, self.version = seen, self.version + 1
                self._next = self._clock() + (self._spent() - before) / SHARE
            return self._found

    def curves(self) -> Mapping[str, Any]:
        with self._lock:
            return self._curves


LIGHT = ("figures", "findings")  # parts that change between two commits too
HEAVY = ("rounds", "skills", "curves")  # parts that are as the last look was


def parts(
    watched: Watched, render: Callable[..., str], now: float, whole: bool = True, known: int | None = None
) -> dict[str, str]:
    """The live parts of a page by the id of their elements.

    whole  those of the overview too, not the header alone
    known  the version of the look that was shown before: what is as it was then is left out
    """
    found = watched.look()
    live = reading.live(watched.directory, now)
    if isinstance(found, UserError):
        return {"head": render("trouble.html.j2", why=str(found), live=live)}
    share, left = reading.left(found, live, now)
    head = {"head": render("head.html.j2", look=found, live=live, share=share, left=left, now=now, **words(found, live, now))}
    names = () if not whole else LIGHT if known == watched.version else (*LIGHT, *HEAVY)
    made = {
        "look": found,
        "live": live,
        "left": left,
        "now": now,
        "noted": numbers(live),
        "said": said(live),
        **watched.curves(),
    }
    return head | {name: render(f"{name}.html.j2", **made) for name in names}


def words(look: Look, live: reading.Live, now: float) -> dict[str, Any]:
    """What is going on, for people: the state, and the phase with how much of it is done."""
    if live.pid is None:
        state = "finished" if look.finished else "stopped"
        return {"state": state, "doing": reading.ago(now - look.at), "done": None, "total": None}
    note = live.note
    state = "pausing" if live.pausing else "running"
    if note is None:
        return {"state": state, "doing": look.phase, "done": None, "total": None}
    total = note["total"] if isinstance(note["total"], int) and note["total"] > 0 else None
    return {"state": state, "doing": note["phase"][:80] or look.phase, "done": note["done"], "total": total}


def said(live: reading.Live, most: int = 6) -> list[str]:
    """The latest lines that the process said, but for its rounds, which are told beside them."""
    lines = [str(line) for line in (live.note or {}).get("said", ())]
    return [line for line in lines if not re.match(r"round \d+: ", line)][-most:]


def numbers(live: reading.Live) -> dict[str, float]:
    """What the process shows in its terminal right now."""
    return {str(k)[:40]: float(v) for k, v in (live.note or {}).get("numbers", {}).items() if reading.is_number(v)}
