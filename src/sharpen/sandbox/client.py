"""`Sandbox`: what the rest of sharpen uses."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sharpen.sandbox.connection import Connection
from sharpen.sandbox.program import LEVELS, Program, Result
from sharpen.sandbox.selftest import probe


class Sandbox:
    """Runs untrusted programs. One broker process, ended by `close` or by leaving a `with` block; for any number of threads.

    least  the weakest acceptable level of LEVELS; UserError below it, saying what to install
    jobs   programs at once; None: as many as this process may use processors
    binds  further host paths that programs may read, at the same place: runtimes outside /usr. From trusted configuration only
    """

    def __init__(self, least: str = "full", jobs: int | None = None, binds: Sequence[str] = ()) -> None:
        if least not in LEVELS:
            raise ValueError(f"{least!r} is no isolation level; there are {', '.join(LEVELS)}")
        found = probe()
        if LEVELS.index(found.level) > LEVELS.index(least):
            from sharpen.core import UserError  # here, because it brings numpy

            raise UserError(
                f"untrusted code needs isolation {least!r}, and this machine offers {found.level!r}: "
                + "; ".join(found.reasons)
                + f". To run it less isolated, at your own risk, accept isolation={found.level!r}."
            )
        self.level = found.level
        self.jobs = jobs or len(os.sched_getaffinity(0))
        self._connection = Connection(self.level, self.jobs, configuration(binds))

    def run(self, program: Program) -> Result:
        """Blocks until the program has ended. Never raises for what a program does: that is in the result."""
        return self._connection.run_many([program])[0]

    def run_many(self, programs: Sequence[Program]) -> list[Result]:
        """Up to `jobs` at once; results in order."""
        return self._connection.run_many(programs)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


HIDDEN = ("/tmp/", "/proc/", "/dev/", "/box/")  # what lies there is another thing inside


def configuration(binds: Sequence[str]) -> dict[str, Any]:
    """What a broker must know. Where /usr has no python3, the one that runs us takes its place."""
    path = "/usr/local/bin:/usr/bin:/bin"
    for bind in binds:
        if not bind.startswith("/") or bind.startswith(HIDDEN) or not os.path.exists(bind):
            raise ValueError(f"{bind!r} cannot be shown to programs: it must exist, and not lie below {', '.join(HIDDEN)}")
    paths = [] if shutil.which("python3", path=path) else [str(Path(sys.base_prefix).resolve())]
    return {
        "bwrap": shutil.which("bwrap") or "",
        "binds": [*dict.fromkeys([*paths, *binds])],
        "path": ":".join([path, *(f"{p}/bin" for p in paths)]),
    }


_shared: dict[tuple[int, str], Sandbox] = {}
_shared_lock = threading.Lock()


def shared(least: str = "full") -> Sandbox:
    """The one sandbox of this process, started at first use and closed at exit. A forked child gets its own."""
    key = (os.getpid(), least)
    with _shared_lock:
        if key not in _shared:
            _shared[key] = sandbox = Sandbox(least)
            atexit.register(sandbox.close)
        return _shared[key]
