"""A child process that speaks through its pipes, and dies with who started it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any, Protocol

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}  # they share the cores
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOOK_S = 0.005  # between two looks at whether it has ended


class Child(Protocol):
    """A process of this machine, or of another. Both pipes are without a buffer.

    gone  why nothing is known of it any more: its machine is away. "" of one that is only dead
    """

    stdin: IO[bytes]
    stdout: IO[bytes]
    gone: str

    def ended(self, wait_s: float = 0.0) -> str | None:
        """How it has ended, in words; None where it has not within that time."""
        ...

    def signal(self) -> None:
        """Kill it and what it started. From any thread, and any number of times."""
        ...

    def kill(self) -> None:
        """The same, and nothing of it is left: it is reaped, its pipes are closed."""
        ...


class Here:
    """`Child` of this machine: Python that runs `boot` with sys.argv[1:] = [sys.path, who started it, *args].

    PR_SET_PDEATHSIG, which `end_with` sets, is about the thread that starts a process: one that ends would take the process
    with it.
    """

    gone = ""

    def __init__(self, boot: str, args: Sequence[str] = (), path: Sequence[str] = (), env: Mapping[str, str] | None = None):
        self.popen = subprocess.Popen(
            [sys.executable, "-c", boot, json.dumps([*path, *sys.path]), str(os.getpid()), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(env or {}), **ONE_THREAD},
            bufsize=0,
            start_new_session=True,  # no Ctrl-C of ours reaches it, and `kill` reaches what it started
        )
        assert self.popen.stdin and self.popen.stdout
        self.stdin: IO[bytes] = self.popen.stdin
        self.stdout: IO[bytes] = self.popen.stdout

    def ended(self, wait_s: float = 0.0) -> str | None:
        """As of every child. It is not reaped, so that its group can still be killed."""
        if self.popen.returncode is not None:
            return "it was killed"
        deadline = time.monotonic() + wait_s
        while not (how := os.waitid(os.P_PID, self.popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
            if time.monotonic() >= deadline:
                return None
            time.sleep(LOOK_S)
        return told(how)

    def signal(self) -> None:
        if self.popen.returncode is None:  # not reaped, so the number is still its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)

    def kill(self) -> None:
        self.signal()
        self.popen.wait()
        self.stdin.close()
        self.stdout.close()


def told(how: Any) -> str:
    if how.si_code == os.CLD_EXITED:
        return f"it exited with {how.si_status}"
    return f"it was killed by {signal.Signals(how.si_status).name}"


def end_with(parent: int) -> None:
    """In the child: die with the process that started it, which is this one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)
