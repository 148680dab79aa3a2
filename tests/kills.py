"""Kills at events: what a process has done decides when it dies, never a clock, so that a kill falls alike on every machine.

`at(n)` is SIGKILL at the n-th event: a function of sharpen's begins, ends, calls into C or is back from there; `events(work)`
counts them, so that a number can be drawn. `at_byte(n)` ends the process in the midst of a write, as soon as a file would grow
beyond n bytes. `attempt` does something in a child that one of them kills; `meanwhile` does something else at events while this
process goes on.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sharpen

OURS = str(Path(sharpen.__file__).parent)
DEADLINE = 300  # seconds after which a child that hangs is ended; nothing is decided by it
Arm = Callable[[], object]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at(n: int, then: Callable[[], object] = die, after: Callable | None = None, until: str | None = None) -> Arm:
    """Does `then` at the n-th event in the thread that armed it.

    after  a function: what happens before its first return is not counted
    until  a function in C: once it has returned, nothing happens any more
    """
    left, counts = n, after is None

    def event(frame, kind: str, argument) -> None:
        nonlocal left, counts
        if frame.f_code.co_filename.startswith(OURS):
            left -= counts
            counts = counts or (kind == "return" and frame.f_code is after.__code__)
            if counts and left == 0:
                then()
            if until and kind == "c_return" and argument.__name__ == until:
                sys.setprofile(None)

    return lambda: sys.setprofile(event)


@contextmanager
def armed(arm: Arm) -> Iterator[None]:
    """With this thread armed."""
    arm()
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def meanwhile(then: Callable[[], object], rng: random.Random, least: int, most: int) -> Iterator[None]:
    """Does `then` again and again, each time after `least` to `most` events in this thread and in those that it starts."""
    left, over = rng.randint(least, most), False

    def event(frame, kind: str, argument) -> None:
        nonlocal left
        left -= frame.f_code.co_filename.startswith(OURS)
        if left <= 0 and not over:
            left = rng.randint(least, most)
            then()

    threading.setprofile(event)
    try:
        with armed(lambda: sys.setprofile(event)):
            yield
    finally:
        threading.setprofile(None)
        over = True  # those threads go on


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


def events(work: Callable[[], object], after: Callable | None = None) -> int:
    """How many events the work takes, done in this thread and in those that it starts. `after` is that of `at`."""
    seen, counts = 0, after is None

    def event(frame, kind: str, argument) -> None:
        nonlocal seen, counts
        if frame.f_code.co_filename.startswith(OURS):
            seen += counts
            counts = counts or (kind == "return" and frame.f_code is after.__code__)

    threading.setprofile(event)
    try:
        with armed(lambda: sys.setprofile(event)):
            work()
    finally:
        threading.setprofile(None)
    return seen
