"""How much memory all processes of one program hold together, and what stops them.

The broker adds up resident sets every WATCH_S seconds; a program can overshoot by what it touches in that time, and is then
killed. Programs whose address space is not limited could touch all of the machine's memory that fast. They go into a memory
cgroup, one for each slot, where this process may make one below its own: exact, and enforced by the kernel. The others do not:
moving a process into a cgroup can wait tens of milliseconds for the kernel's other processors.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from sharpen.sandbox.linux import children_of

WATCH_S = 0.05
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Group:
    """A memory cgroup, held open so that it can be used after its opener has given up its rights and left its root."""

    name: str
    parent: int  # directory descriptor
    processes: int
    limit: int
    events: int

    def admit(self, pid: int, limit: int) -> None:
        os.pwrite(self.limit, str(limit).encode(), 0)
        os.pwrite(self.processes, str(pid).encode(), 0)

    def kills(self) -> int:
        """How often the kernel has killed in here for want of memory, since the group was made."""
        found = re.search(rb"^oom_kill (\d+)", os.pread(self.events, 4096, 0), re.MULTILINE)
        return int(found[1]) if found else 0


FILES = {  # version: processes, limit, events, and what keeps a program from swapping instead
    1: ("cgroup.procs", "memory.limit_in_bytes", "memory.oom_control", ("memory.swappiness", "0")),
    2: ("cgroup.procs", "memory.max", "memory.events", ("memory.swap.max", "0")),
}


def make_groups(count: int) -> list[Group]:
    """One for each slot; empty where this process may not make them."""
    for version, directory in _own():
        groups: list[Group] = []
        try:
            for slot in range(count):
                groups.append(_make(version, directory, f"sharpen-{os.getpid()}-{slot}"))
            return groups
        except OSError:
            remove_groups(groups)
    return []


def _own() -> Iterable[tuple[int, str]]:
    """The memory cgroups of this process, by version. The group of a program goes below it, so its own limit still holds."""
    with contextlib.suppress(OSError), open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if "memory" in controllers.split(","):
                yield 1, "/sys/fs/cgroup/memory" + path
            elif not controllers:
                yield 2, "/sys/fs/cgroup" + path


def _make(version: int, directory: str, name: str) -> Group:
    processes, limit, events, (setting, value) = FILES[version]
    parent = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        os.mkdir(name, dir_fd=parent)
    except OSError:
        os.close(parent)
        raise
    path = f"{directory}/{name}"
    opened: list[int] = []
    try:
        for file, mode in ((processes, os.O_WRONLY), (limit, os.O_WRONLY), (events, os.O_RDONLY)):
            opened.append(os.open(f"{path}/{file}", mode))
        with contextlib.suppress(OSError), open(f"{path}/{setting}", "w") as target:
            target.write(value)
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
        os.rmdir(name, dir_fd=parent)
        os.close(parent)
        raise
    return Group(name, parent, *opened)


def remove_groups(groups: list[Group]) -> None:
    """After everything in them is dead."""
    for group in groups:
        with contextlib.suppress(OSError):
            os.rmdir(group.name, dir_fd=group.parent)


def remove_stale_groups() -> None:
    """Those of keepers that were killed before they could."""
    for _, directory in _own():
        with contextlib.suppress(OSError):
            for name in os.listdir(directory):
                found = re.fullmatch(r"sharpen-(\d+)-\d+", name)
                if found and not os.path.exists(f"/proc/{found[1]}"):
                    with contextlib.suppress(OSError):
                        os.rmdir(f"{directory}/{name}")


@dataclass(frozen=True)
class Usage:
    processes: int  # and threads
    resident: int  # bytes


def usage(roots: Iterable[int]) -> dict[int, Usage]:
    """For each process of `roots`, what it and its descendants use. Pages they share count once for each that maps them."""
    parent, own = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()  # the name before it may hold anything
                parent[int(name)] = int(fields[1])
                own[int(name)] = (int(fields[17]), int(fields[21]) * PAGE)
    found = {}
    for root in roots:
        family, todo = set(), [root]
        children: dict[int, list[int]] = {}
        for child, its in parent.items():
            children.setdefault(its, []).append(child)
        while todo:
            pid = todo.pop()
            if pid in own and pid not in family:
                family.add(pid)
                todo += children.get(pid, [])
        found[root] = Usage(sum(own[pid][0] for pid in family), sum(own[pid][1] for pid in family))
    return found


def proportional(root: int) -> int:
    """Bytes of a process and its descendants, a shared page counted once: exact and slow, for when `usage` says too much."""
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        todo += children_of(pid)
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) << 10 for line in file if line.startswith("Pss:"))
    return total
