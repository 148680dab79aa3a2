"""What stands on the other machine for a child there: its pipes are read and written by call. Made by nodes.py and ray.py."""

from __future__ import annotations

import os
import queue
import select
import threading
from collections.abc import Mapping, Sequence

from sharpen.workers.child import Here

MOST = 1 << 20  # bytes of one call


class Spawn:
    """A child. Any thread may call; each method comes back soon, `read` within its seconds.

    path  where the caller finds modules; what lies there here, too, is found first
    """

    def __init__(self, boot: str, args: Sequence[str], path: Sequence[str], env: Mapping[str, str]) -> None:
        made: queue.SimpleQueue[Here | OSError] = queue.SimpleQueue()

        def stay() -> None:  # the child dies with the thread that starts it, and the caller's may be any
            try:
                child = Here(boot, args, path, env)
            except OSError as error:
                return made.put(error)
            made.put(child)
            os.waitid(os.P_PID, child.popen.pid, os.WEXITED | os.WNOWAIT)

        threading.Thread(target=stay, name="sharpen-spawn", daemon=True).start()
        found = made.get()
        if isinstance(found, OSError):
            raise found
        self.child = found

    def write(self, data: bytes) -> bool:
        """Whether it still reads."""
        left = memoryview(data)
        try:
            while left:
                left = left[self.child.stdin.write(left) :]
        except OSError:
            return False
        return True

    def shut(self) -> None:
        """Nothing more is written."""
        self.child.stdin.close()

    def read(self, seconds: float) -> bytes | None:
        """What it has written; b"" where that is nothing within these seconds, None once it has closed its output."""
        if not select.select([self.child.stdout], [], [], seconds)[0]:
            return b""
        return os.read(self.child.stdout.fileno(), MOST) or None

    def ended(self, seconds: float) -> str | None:
        return self.child.ended(seconds)

    def signal(self) -> None:
        self.child.signal()
