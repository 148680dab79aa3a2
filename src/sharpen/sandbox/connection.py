"""The client's side of one broker process: hands programs over, collects results, and replaces a broker that died.

A program whose broker died while it ran is tried once more, then `failed`; so is one that failed by our fault or was killed by
a SIGKILL of unknown origin. One that had not started loses nothing. Safe to use from several threads; in a forked child it
starts a broker of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sharpen.sandbox import memory, plain, wire
from sharpen.sandbox.program import Program, Result

START_S = 20.0  # for a broker to come up
SILENCE_S = 20.0  # beyond the longest program in flight: after it a broker that says nothing is taken for hung
STARTS = 4  # of a broker that dies while it comes up
TRIES = 2  # of a program whose broker dies while it runs
LOST = 6  # of a program that each time had not started yet
# `import` finds sharpen from here, after the standard library; nothing else of this process reaches the broker.
COMMAND = (
    "import sys, json; sys.path.append(sys.argv[1]); from sharpen.sandbox import broker; broker.main(json.loads(sys.argv[2]))"
)


class BrokerFailed(Exception):
    """The broker could not be started; why."""


@dataclass
class Job:
    """One program between hand-over and result."""

    number: int
    program: Program
    started: bool = False
    tries: int = 0
    lost: int = 0
    result: Result | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Connection:
    """A broker at one isolation level. The first program starts it; `close` ends it."""

    def __init__(self, level: str, jobs: int, config: dict[str, Any]) -> None:
        self.level, self.jobs, self.config = level, jobs, config
        self._reset()

    def _reset(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._process: subprocess.Popen | None = None
        self._channel: socket.socket | None = None
        self._reader: threading.Thread | None = None
        self._waiting: deque[Job] = deque()
        self._flying: dict[int, Job] = {}
        self._number = 0
        self._heard = time.monotonic()

    def run_many(self, programs: Sequence[Program]) -> list[Result]:
        """Up to `jobs` at once; results in order."""
        if os.getpid() != self._owner:  # after a fork: the broker is the parent's, and so is whoever holds the lock
            if self._channel is not None:
                self._channel.close()
            self._reset()
        with self._lock:
            mine = [Job(self._number + i, program) for i, program in enumerate(programs)]
            self._number += len(mine)
            self._waiting.extend(mine)
            self._feed()
        for job in mine:
            while not job.done.wait(1.0):
                with self._lock:
                    if not job.done.is_set() and (self._reader is None or not self._reader.is_alive()):
                        channel, process, self._channel, self._process = self._channel, self._process, None, None
                        _end(channel, process)
                        self._recover("the thread that reads results ended")
        return [job.result for job in mine if job.result is not None]

    def close(self) -> None:
        """End the broker. Programs that still run are `failed`; a further one starts another broker."""
        if os.getpid() != self._owner:
            return  # a forked child has nothing of its own here, and the lock may be held for ever
        with self._lock:
            channel, process, reader = self._channel, self._process, self._reader
            self._channel = self._process = self._reader = None
            for job in (*self._flying.values(), *self._waiting):
                self._settle(job, self._failed("the sandbox was closed"))
            self._flying.clear()
            self._waiting.clear()
        _end(channel, process)
        if reader is not None:
            reader.join(5.0)

    def _feed(self) -> None:
        """Hand over what waits, a few more than run at once, so that the broker never waits for us. Holds the lock."""
        while self._waiting and len(self._flying) < 2 * self.jobs:
            if self._channel is None:
                try:
                    self._start_or_retry()
                except BrokerFailed as error:
                    while self._waiting:
                        self._settle(self._waiting.popleft(), self._failed(str(error)))
                    return
            job = self._waiting.popleft()
            self._flying[job.number] = job
            try:
                assert self._channel is not None
                self._channel.sendall(wire.encode_program(job.number, job.program))
            except OSError:  # the broker is dead; the reader finds its end of file and sorts things out
                return

    def _start_or_retry(self) -> None:
        """Somebody may kill a broker before it is up. One that says why it cannot start is not asked again."""
        for _ in range(STARTS - 1):
            try:
                return self._start()
            except BrokerFailed as error:
                if not isinstance(error.__cause__, EOFError):
                    raise
        return self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        parent = os.pidfd_open(os.getpid())
        config = {**self.config, "level": self.level, "jobs": self.jobs, "parent": parent}
        source = str(Path(__file__).resolve().parents[2])
        command = [sys.executable, "-I", "-S", "-c", COMMAND, source, json.dumps(config)]
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the reader thread, which outlives this call)
        try:
            process = subprocess.Popen(  # type: ignore[call-overload]  # a socket is as good as a file for stdin
                command, stdin=theirs, stdout=errors, stderr=errors, env={}, pass_fds=[parent], cwd="/", start_new_session=True
            )
        except OSError as error:
            errors.close()
            ours.close()
            raise BrokerFailed(f"the broker's Python could not be started: {error}") from error
        finally:
            theirs.close()
            os.close(parent)
        buffer = bytearray()
        try:
            ready = _receive(ours, buffer, time.monotonic() + START_S)
        except (OSError, EOFError, ValueError) as error:
            _end(ours, process)
            with errors:
                raise BrokerFailed(f"the broker did not come up: {error} {_tail(errors)}") from error
        if not ready["ready"]:
            _end(ours, process)
            errors.close()
            raise BrokerFailed(ready["detail"])
        self._channel, self._process, self._heard = ours, process, time.monotonic()
        self._reader = threading.Thread(
            target=self._read, args=(ours, process, buffer, errors), name="sandbox results", daemon=True
        )
        self._reader.start()

    def _read(self, channel: socket.socket, process: subprocess.Popen, buffer: bytearray, errors: Any) -> None:
        """The reader thread of one broker: results in, and programs out as room comes, until the broker is gone."""
        detail = "the broker died"
        with contextlib.suppress(OSError):
            while True:
                try:
                    header, blobs = _message(channel, buffer)
                except TimeoutError:
                    with self._lock:
                        longest = max((job.program.limits.wall_s for job in self._flying.values()), default=None)
                    if longest is not None and time.monotonic() - self._heard > longest + SILENCE_S:
                        detail = f"the broker said nothing for {longest + SILENCE_S:.0f} s"
                        break
                    continue
                except (EOFError, ValueError):
                    break
                with self._lock:
                    if self._channel is not channel:
                        break
                    self._heard = time.monotonic()
                    self._take(header, blobs)
                    self._feed()
        _end(channel, process)
        with self._lock:
            if self._channel is channel:
                self._channel = self._process = None
                self._recover(f"{detail} {_tail(errors)}".strip())
        errors.close()

    def _take(self, header: dict[str, Any], blobs: list[bytes]) -> None:
        if "started" in header:
            self._flying[header["started"]].started = True
            return
        job = self._flying.pop(header["number"])
        result = wire.decode_result(header, blobs)
        killed = result.status == "signalled" and result.code == signal.SIGKILL
        if (killed or result.status == "failed") and job.tries + 1 < TRIES:
            # Somebody else may have killed it, or what held it. One that kills itself does so again, and is paid for that.
            job.tries, job.started = job.tries + 1, False
            self._waiting.appendleft(job)
        else:
            self._settle(job, result)

    def _recover(self, detail: str) -> None:
        """Try again what the dead broker had. Holds the lock."""
        again = []
        for job in self._flying.values():
            job.tries += job.started
            job.lost += 1
            job.started = False
            if job.tries >= TRIES or job.lost >= LOST:
                self._settle(job, self._failed(detail))
            else:
                again.append(job)
        self._flying.clear()
        self._waiting.extendleft(reversed(again))
        self._feed()

    def _settle(self, job: Job, result: Result) -> None:
        job.result = result
        job.done.set()

    def _failed(self, detail: str) -> Result:
        return Result("failed", None, b"", b"", 0.0, {}, self.level, detail)


def _end(channel: socket.socket | None, process: subprocess.Popen | None) -> None:
    """The broker ends when its channel closes; what does not end by itself is killed, and the kernel ends the rest."""
    if channel is not None:
        with contextlib.suppress(OSError):
            channel.shutdown(socket.SHUT_RDWR)  # wakes the reader thread, which `close` alone does not
        channel.close()
    if process is not None:
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5.0)
        if process.returncode:  # the keeper was killed and could not tidy up
            plain.remove_stale_homes()
            memory.remove_stale_groups()


def _message(channel: socket.socket, buffer: bytearray) -> tuple[dict[str, Any], list[bytes]]:
    """The next message. TimeoutError after a second without one, EOFError at the end."""
    while (message := wire.decode(buffer)) is None:
        channel.settimeout(1.0)
        data = channel.recv(1 << 20)
        if not data:
            raise EOFError("end of file")
        buffer += data
    return message


def _receive(channel: socket.socket, buffer: bytearray, deadline: float) -> dict[str, Any]:
    while True:
        try:
            return _message(channel, buffer)[0]
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


def _tail(errors: Any) -> str:
    """The last words of a broker: its traceback."""
    errors.seek(0)
    return errors.read().decode(errors="replace").strip()[-2000:]
