"""A child on another machine, as one of this machine looks: two pipes, and two threads that carry what goes through them."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import IO, Protocol

from sharpen.workers.spawn import MOST

READ_S = 5.0  # seconds that a read waits over there
GRACE_S = 1.0


class Gone(Exception):
    """A machine does not answer any more, so nothing is known of what ran there."""


class Handle(Protocol):
    """`Spawn` of another machine. Every method raises Gone, at the latest some seconds after it should have come back."""

    def write(self, data: bytes) -> bool: ...

    def shut(self) -> None: ...

    def read(self, seconds: float) -> bytes | None: ...

    def ended(self, seconds: float) -> str | None: ...

    def signal(self) -> None: ...

    def drop(self) -> None:
        """It is not needed any more."""
        ...


class There:
    """`Child` behind a handle."""

    def __init__(self, handle: Handle) -> None:
        self.handle, self.gone = handle, ""
        theirs, ours = os.pipe()
        self.stdin: IO[bytes] = os.fdopen(ours, "wb", 0)
        ours, back = os.pipe()
        self.stdout: IO[bytes] = os.fdopen(ours, "rb", 0)
        self.over = threading.Event()  # it has closed its output, or is gone
        for work, end in ((self.forth, theirs), (self.back, back)):
            threading.Thread(target=work, args=(end,), name="sharpen-there", daemon=True).start()

    def forth(self, end: int) -> None:
        with os.fdopen(end, "rb", 0) as pipe:
            try:
                while (data := pipe.read(MOST)) and self.handle.write(data):
                    pass
                self.handle.shut()
            except Gone as error:
                self.gone = self.gone or str(error)

    def back(self, end: int) -> None:
        with os.fdopen(end, "wb", 0) as pipe, contextlib.suppress(BrokenPipeError):
            try:
                while (data := self.handle.read(READ_S)) is not None:
                    left = memoryview(data)
                    while left:
                        left = left[pipe.write(left) :]
            except Gone as error:
                self.gone = self.gone or str(error)
            self.over.set()

    def ended(self, wait_s: float = 0.0) -> str | None:
        if not self.over.wait(wait_s):
            return None
        try:
            return self.gone or self.handle.ended(GRACE_S)
        except Gone as error:
            self.gone = str(error)
            return self.gone

    def signal(self) -> None:
        """As of every child, without waiting for the other machine."""
        threading.Thread(target=self.dropped, name="sharpen-there", daemon=True).start()

    def dropped(self) -> None:
        with contextlib.suppress(Gone):
            self.handle.signal()
        with contextlib.suppress(Gone):
            self.handle.drop()

    def kill(self) -> None:
        self.signal()
        self.stdin.close()
        self.stdout.close()
