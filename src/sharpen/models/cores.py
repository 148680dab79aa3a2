"""Is something else using the cores that this process may run on?

Where that is so, a step of several threads waits at every barrier for a thread that does not run. It cannot be helped from
here, but it can be said. Linux tells; elsewhere nothing is known.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

DISTURBED = 0.1  # share of the cores' time that others may take before it is worth a word
STAT = Path("/proc/stat")


class Watch:
    """Looks at the cores from time to time."""

    def __init__(self) -> None:
        self._before = _look()

    def foreign(self, seconds: float = 0.2) -> float | None:
        """Share of the cores' time, since the last answer, that went to others than this process and its children; None where
        nobody tells, or less than so many seconds have passed."""
        before = self._before
        if before is None or time.monotonic() - before[0] < seconds or (now := _look()) is None:
            return None
        self._before = now
        passed, busy, own = (b - a for a, b in zip(before, now, strict=True))
        return min(max(busy - own, 0.0) / (passed * len(os.sched_getaffinity(0))), 1.0)


def _look() -> tuple[float, float, float] | None:
    """(now, seconds that the cores were busy, seconds that were ours). What a hypervisor steals counts as busy."""
    if not STAT.exists():
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    lines = (line.split() for line in STAT.read_text(encoding="utf-8").splitlines() if line.startswith("cpu"))
    counts = {name: list(map(int, numbers[:8])) for name, *numbers in lines}
    ours = [counts[f"cpu{core}"] for core in os.sched_getaffinity(0) if f"cpu{core}" in counts]
    busy = sum(sum(c) - c[3] - c[4] for c in ours) / ticks  # the fourth and fifth are idle and waiting for a disk
    return time.monotonic(), busy, sum(_ticks(pid) for pid in _family(os.getpid())) / ticks


def _family(pid: int) -> list[int]:
    """A process and its living descendants."""
    found = [pid]
    for one in found:  # which grows meanwhile
        for task in _read(f"/proc/{one}/task", os.listdir):
            found += map(int, _read(f"/proc/{one}/task/{task}/children", lambda path: Path(path).read_text().split()))
    return found


def _ticks(pid: int) -> int:
    """Processor time of a process and of its children that have ended."""
    stat = _read(f"/proc/{pid}/stat", lambda path: Path(path).read_text().rpartition(")")[2].split())
    return sum(map(int, stat[11:15]))


def _read(path: str, how: Callable[[str], list[str]]) -> list[str]:
    try:
        return how(path)
    except OSError:  # it has ended meanwhile
        return []
