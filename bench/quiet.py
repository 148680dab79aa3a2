"""Is anything else running on the cores that are measured?

Two threads that share a core with one other busy process do not get two thirds of the speed but a twentieth: at every barrier
one waits for the other. So a step is begun only on quiet cores, and one that was disturbed does not count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

DISTURBED = 0.1  # share of the cores' time that others may take
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """What a measured call returned, and the share of the cores' time that others took meanwhile."""

    answer: dict
    foreign: float

    @property
    def quiet(self) -> bool:
        return self.foreign <= DISTURBED


def busy_seconds(cores: Sequence[int]) -> float:
    """Seconds since the machine started in which the cores were not idle; stolen by a hypervisor counts as busy."""
    lines = {line.split()[0]: list(map(int, line.split()[1:9])) for line in Path("/proc/stat").read_text().splitlines()[1:65]}
    counts = [lines[f"cpu{core}"] for core in cores if f"cpu{core}" in lines]
    return sum(sum(c) - c[3] - c[4] for c in counts) / TICKS  # the fourth and fifth are idle and waiting for a disk


def own_seconds(processes: Sequence[int]) -> float:
    """Processor seconds that the processes have used."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in processes]
    return sum(int(s[11]) + int(s[12]) for s in stats) / TICKS


def measured(call: Callable[[], dict], processes: Sequence[int]) -> Measured:
    """Call, and see how much of the cores' time went to others than these processes and this one."""
    if not Path("/proc/stat").exists():
        return Measured(call(), 0.0)
    cores, ours = sorted(os.sched_getaffinity(0)), [*processes, os.getpid()]
    start, busy, own = time.perf_counter(), busy_seconds(cores), own_seconds(ours)
    answer = call()
    seconds = time.perf_counter() - start
    foreign = busy_seconds(cores) - busy - (own_seconds(ours) - own)
    return Measured(answer, max(foreign, 0.0) / (seconds * len(cores)))


def wait_for_quiet(processes: Sequence[int], patience: float) -> None:
    """Return once the cores have been idle for a second, or after that many seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if measured(lambda: time.sleep(1.0) or {}, processes).quiet:
            return
