"""How many cores this process may use, and is something else using them?

Where that is so, a step of several threads waits at every barrier for a thread that does not run. It cannot be helped from
here, but it can be said. Linux tells; elsewhere nothing is known.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

DISTURBED = 0.1  # share of the cores' time that others may take before it is worth a word
STAT = Path("/proc/stat")


def usable(threads: int, root: Path = Path("/")) -> int:
    """How many of these threads are worth having: no more than the process's control groups grant it processors.

    What a container is limited to (`docker run --cpus 2`) neither the list of its cores nor OpenMP knows: 64 threads that are
    stopped after a thirty-second of each 100 ms wait for each other. A user who has set OMP_NUM_THREADS has chosen himself.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return threads
    return max(math.ceil(min(threads, quota(root))), 1)


def quota(root: Path = Path("/")) -> float:
    """Seconds of processors that the control groups, of either version, grant in a second; infinity where they set no limit."""
    found = [math.inf]
    for line in _read(str(root / "proc/self/cgroup"), lambda path: Path(path).read_text().splitlines()):
        _, controllers, own = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        for place in (top / own.lstrip("/"), *(top / own.lstrip("/")).parents):
            if not place.is_relative_to(top):
                break
            files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
            words = [word for file in files for word in _read(str(place / file), lambda path: Path(path).read_text().split())]
            if len(words) == 2 and words[0] not in ("max", "-1") and all(word.isdecimal() for word in words) and int(words[1]):
                found.append(int(words[0]) / int(words[1]))
    return min(found)


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
