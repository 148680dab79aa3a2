"""Where children are started: on this machine, or, inside `using`, on those that it names."""

from __future__ import annotations

import itertools
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from sharpen.core import UserError
from sharpen.workers.child import Child, Here
from sharpen.workers.there import Gone, There

__all__ = ["Gone", "Place", "checked", "elsewhere", "slots", "start", "starting", "using"]

LOCAL = re.compile(r"local://(?:(\d+)x)?(\d+)")
SENT = "SHARPEN_"  # environment variables that are so named go along


class Place(Protocol):
    """Machines. `slots`: how many children of one kind they have room for; `here`: whether this machine stands for them."""

    slots: int
    here: bool

    def spawn(self, boot: str, args: Sequence[str], path: Sequence[str], env: Mapping[str, str]) -> Any:
        """A handle of a new child. Raises Gone where its machine is just going, UserError where no machine is left."""
        ...

    def close(self) -> None: ...


_used: list[tuple[int, Place]] = []  # numbered; the last one counts
_numbers = itertools.count(1)
_lock = threading.Lock()
_turns = threading.BoundedSemaphore(max(2, len(os.sched_getaffinity(0))))  # of children that are just starting here


def checked(spec: str) -> str:
    """The text, where it names machines. UserError."""
    if not spec or LOCAL.fullmatch(spec) or (spec.startswith("ray://") and len(spec) > len("ray://")):
        return spec
    raise UserError(
        f"--workers {spec}: there are ray://HOST:PORT and ray://auto, which is the cluster that this machine belongs to, and "
        "local://8 or local://2x8, so many workers, or nodes with so many workers each, on this machine."
    )


def opened(spec: str) -> Place:
    """What a text names, running. Only what is asked for is imported."""
    if found := LOCAL.fullmatch(checked(spec)):
        from sharpen.workers.nodes import Nodes

        return Nodes(max(1, int(found[1] or 1)), max(1, int(found[2])))
    from sharpen.workers.ray import Cluster

    name = spec.removeprefix("ray://")
    return Cluster(name if name in ("auto", "local") else spec)


@contextmanager
def using(spec: str) -> Iterator[None]:
    """Inside, children are started on these machines; "": on this one. UserError where they cannot be."""
    if not spec:
        yield
        return
    place = opened(spec)
    used = next(_numbers), place
    with _lock:
        _used.append(used)
    try:
        yield
    finally:
        with _lock:
            _used.remove(used)
        place.close()


def elsewhere() -> int:
    """A number for the machines on which children are started; 0: on this one."""
    return _used[-1][0] if _used else 0


def slots() -> int:
    """How many children of one kind there is room for."""
    return _used[-1][1].slots if _used else max(1, len(os.sched_getaffinity(0)))


@contextmanager
def starting() -> Iterator[None]:
    """Inside, a child is started and becomes ready. On this machine as many at a time as it has cores: what a child imports
    takes seconds, it has a deadline, and sixteen at once on two cores would all be late."""
    with _turns if not _used or _used[-1][1].here else nullcontext():
        yield


def start(boot: str, *args: str) -> Child:
    """Python that runs `boot` with sys.argv[1:] = [sys.path, the process that it ends with, *args]; see `child.end_with`.

    Raises Gone where its machine is away.
    """
    if not _used:
        return Here(boot, args)
    env = {name: value for name, value in os.environ.items() if name.startswith(SENT)}
    return There(_used[-1][1].spawn(boot, args, list(sys.path), env))
