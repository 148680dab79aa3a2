"""A process that does nothing but verify: how it is started, spoken to and killed, and what runs in it (`serve`).

Task, response and verifier travel there as pickles that we made; replies come back as lines of JSON, so that nothing which a
verifier (or whatever it lets a model do) writes is ever unpickled here. Its standard output is its standard error: a verifier
that prints disturbs nobody. It is no sandbox: it has this user's rights.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import select
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from sharpen import workers
from sharpen.core import Task, UserError, Verdict
from sharpen.verify.verdicts import Verifier, boundary, seen_with

START_S = 180.0  # until a process is ready: it may have to import a user's libraries, beside others that use the cores
GRACE_S = 1.0  # until a process that is told to end has ended by itself
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\nfrom sharpen.verify.process import serve; serve(int(sys.argv[2]))"
)
USERS_MODULE = "sharpen_user_"  # how `catalog.load` names the module of a recipe in a user's own file

Reply = tuple[Verdict, float]  # and the seconds it took


class Lost(Exception):
    """The process gave no verdict: it died, or it was killed at the deadline. The message says which."""


def pack(verify: Verifier) -> bytes:
    """What a process needs to begin. UserError where it could not find the verifier, such as one defined inside a function."""
    try:
        function = pickle.dumps(verify)
    except (pickle.PicklingError, AttributeError, TypeError) as e:
        raise UserError(
            f"{verify!r} cannot judge in a process of its own: {e}. Define it by `def` at the top level of a module or of the "
            "recipe's file; give it settings by functools.partial."
        ) from e
    named = [n for n in sys.modules if n.startswith(USERS_MODULE) or n == "__main__"]
    files = {n: getattr(sys.modules[n], "__file__", None) for n in named if n.encode() in function}
    if None in files.values():
        raise UserError(f"{verify!r} was typed into a prompt, where no other process can find it. Put it into a file.")
    return pickle.dumps(({name: str(Path(str(file)).resolve()) for name, file in files.items()}, function))


class Away(Lost):
    """The machine that it ran on is gone: nobody is to blame, and nothing is known of the verifier."""


class Process:
    """One verifier process, started by its constructor. Raises UserError where the verifier cannot be loaded in it, or Lost."""

    def __init__(self, packed: bytes) -> None:
        with workers.starting():
            self._begin(packed)

    def _begin(self, packed: bytes) -> None:
        try:
            self._child = workers.start(BOOT)
        except workers.Gone as e:
            raise Away(str(e)) from e
        self._in, self._out = self._child.stdin.fileno(), self._child.stdout.fileno()
        os.set_blocking(self._in, False)
        self._rest = b""  # of a line that has not come whole
        try:
            self._send(packed, time.monotonic() + START_S)
            ready = json.loads(self._lines(START_S)[0])
        except Lost as e:
            self.kill()
            raise type(e)(f"it did not start: {e}") from None
        if ready is not None:
            self.kill()
            raise UserError(f"The verifier cannot be loaded in a process of its own:\n{ready}")

    def alive(self) -> bool:
        return self._child.ended() is None

    def judge(self, jobs: Sequence[tuple[Task, str, Any]], deadlines_s: Sequence[float]) -> Iterator[list[Reply]]:
        """Replies in the order of the jobs, some at a time. Lost where one gets none in time; a UserError as raised there."""
        self._send(pickle.dumps(jobs), time.monotonic() + deadlines_s[0])
        done = 0
        while done < len(jobs):
            lines = self._lines(deadlines_s[done])
            done += len(lines)
            said = [json.loads(line) for line in lines]
            yield [(_verdict(fields), seconds) for fields, seconds, mistake in said if mistake is None]
            if said[-1][2] is not None:  # it has ended: nothing follows
                raise UserError(said[-1][2])

    def _send(self, frame: bytes, deadline: float) -> None:
        """Write all, also to a process that reads slowly or not at all."""
        left = memoryview(len(frame).to_bytes(8, "big") + frame)
        ready = select.poll()
        ready.register(self._in, select.POLLOUT)
        while left:
            try:
                left = left[os.write(self._in, left) :]
            except BlockingIOError:
                if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise Lost("it reads nothing") from None
            except BrokenPipeError:
                raise self._end() from None

    def _lines(self, deadline_s: float) -> list[bytes]:
        """Whole lines, at least one. Lost where none comes in time."""
        ready, deadline = select.poll(), time.monotonic() + deadline_s
        ready.register(self._out, select.POLLIN)
        while True:
            # Busy threads may wake this one late: a line that came meanwhile is in time, hence the second look.
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000) and not ready.poll(0):
                raise Lost(f"no verdict within {deadline_s:g} s")
            read = os.read(self._out, 1 << 20)
            if not read:
                raise self._end()
            *lines, self._rest = (self._rest + read).split(b"\n")
            if lines:
                return lines

    def _end(self) -> Lost:
        said = self._child.ended(GRACE_S) or "it closed its output"
        return Away(self._child.gone) if self._child.gone else Lost(said)

    def close(self) -> None:
        """Let it end by itself, or kill it."""
        self._child.stdin.close()
        self._child.ended(GRACE_S)
        self.kill()

    def signal(self) -> None:
        """Kill it and what it started."""
        self._child.signal()

    def kill(self) -> None:
        """Kill it and what it started, reap it, and close its pipes."""
        self._child.kill()


# What runs in the process.


def serve(parent: int) -> None:
    """Read frames, judge, write lines, until the parent closes the pipe or dies."""
    workers.end_with(parent)
    frames, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    try:
        verify = _load(_frame(frames))
    except Exception:  # it goes to the user, who is told in words
        _say(replies, traceback.format_exc(limit=-3))
        return
    _say(replies, None)
    while frame := _frame(frames):
        for task, response, seen in pickle.loads(frame):
            reply = _judge(boundary(seen_with(verify, seen)), task, response)
            _say(replies, reply)
            if reply[2] is not None:
                return


def _frame(source: IO[bytes]) -> bytes:
    size = source.read(8)
    return source.read(int.from_bytes(size, "big")) if len(size) == 8 else b""


def _say(replies: IO[bytes], value: Any) -> None:
    replies.write(json.dumps(value).encode() + b"\n")
    replies.flush()


def _load(packed: bytes) -> Verifier:
    files, function = pickle.loads(packed)
    for name, file in files.items():
        # A script of the user's is loaded under another name, so that what it does only when it is run is not done.
        spec = importlib.util.spec_from_file_location("__mp_main__" if name == "__main__" else name, file)
        assert spec and spec.loader
        sys.modules[name] = sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return pickle.loads(function)


def _judge(guarded: Verifier, task: Task, response: str) -> tuple[dict[str, Any] | None, float, str | None]:
    began = time.perf_counter()
    try:
        verdict = guarded(task, response)
    except UserError as e:  # it is about the task or this machine, so the process ends: the next one looks again
        return None, 0.0, str(e)
    seconds = time.perf_counter() - began
    return plain(verdict), seconds, None


def _verdict(fields: dict[str, Any]) -> Verdict:
    return Verdict(**{**fields, "credit": tuple(fields["credit"])})


def plain(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON: numbers of numpy and others become Python's."""
    reward = None if verdict.reward is None else float(verdict.reward)
    parts, credit = {str(k): float(v) for k, v in verdict.parts.items()}, tuple(float(v) for v in verdict.credit)
    return asdict(verdict) | {"reward": reward, "parts": parts, "credit": credit}
