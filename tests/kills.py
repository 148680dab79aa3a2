"""Kills at events: what a process has done decides when it dies, never a clock, so that a kill falls alike on every machine.

`at(n)` is SIGKILL at the n-th event: a function of sharpen's begins, ends, calls into C or is back from there; `events(work)`
counts them, so that a number can be drawn. `at_byte(n)` ends the process in the midst of a write, as soon as a file would grow
beyond n bytes. `attempt` does something in a child that one of them kills.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import sharpen

OURS = str(Path(sharpen.__file__).parent)
DEADLINE = 300  # seconds after which a child that hangs is ended; nothing is decided by it
Arm = Callable[[], object]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at(n: int) -> Arm:
    """Dies at the n-th event in the thread that armed it."""
    left = n

    def event(frame, kind: str, argument) -> None:
        nonlocal left
        left -= frame.f_code.co_filename.startswith(OURS)
        if left == 0:
            die()

    return lambda: sys.setprofile(event)


def at_byte(n: int) -> Arm:
    """Dies where a file would grow beyond n bytes; up to there it is written. By the kernel's hand: nothing is tidied up."""

    def arm() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
        resource.setrlimit(resource.RLIMIT_FSIZE, (n, n))

    return arm


def attempt(work: Callable[[], object], arm: Arm | None = None) -> bool:
    """Do the work in a forked child. True if it was killed; where it failed, this program ends."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(DEADLINE)
            if arm:
                arm()
            work()
        except BaseException:
            sys.setprofile(None)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status not in (0, signal.SIGKILL, signal.SIGXFSZ):
        sys.exit(f"an attempt ended with status {status}")
    return status != 0


def events(work: Callable[[], object]) -> int:
    """How many events the work takes, done in this process."""
    seen = 0

    def event(frame, kind: str, argument) -> None:
        nonlocal seen
        seen += frame.f_code.co_filename.startswith(OURS)

    sys.setprofile(event)
    try:
        work()
    finally:
        sys.setprofile(None)
    return seen
