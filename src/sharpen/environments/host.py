"""A process that imports an environment's code once, and forks a child for each environment: each can be killed by itself.

Requests come as lines of JSON, {"id": environment, "n": number, "op": …, "seconds": …}, and answers go back as such. A child
that does not answer in time, writes too much, or dies, is killed with whatever it started, and costs its own environment. It is
no sandbox: it has this user's rights. What a model wrote reaches it as JSON alone.

Requests wait for their turn: AT_ONCE children work at one time, and those that wait for something themselves do not count. A
deadline begins with the turn, and what a child then waits for a processor is no time of its own (HELD_UP), so that thousands
side by side, or a machine that others use too, cost no environment its life.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import resource
import select
import selectors
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy.random  # noqa: F401  every reset seeds it: it is imported before the children are forked, and not by each of them

from sharpen.core import UserError
from sharpen.environments.episode import Episode, misshapen
from sharpen.environments.loading import factory
from sharpen.workers import end_with

MOST_LINE = 4_000_000  # bytes of one answer
SEND_S = 5.0  # until a child has read a request
AT_ONCE = 16  # children of a host that work at one time
SOON_S = 0.1  # of work after which a child is looked at: does it work, or does it wait?
HELD_UP = 10  # times its deadline that a child may wait for a processor beside it: what is longer is no busy machine


@dataclass
class Child:
    """One environment's process. waiting: number of the request that it is at; until: when that may be too late; held: how long
    it had waited for a processor as that began."""

    pid: int
    link: socket.socket
    waiting: int = -1
    began: float = 0.0
    until: float = 0.0
    limit: float = 0.0
    held: float = 0.0
    unread: bytearray = field(default_factory=bytearray)

    def late(self, now: float, held: float) -> bool:
        """Whether its time is over, of which waiting for a processor is none; `until` is when that is to be asked again."""
        over = self.began + self.limit + min(max(held - self.held, 0.0), HELD_UP * self.limit)
        self.until = over if over <= now else max(over, now + SOON_S)
        return over <= now


def serve(parent: int, spec: str, memory_mb: int) -> None:
    """Answer requests until the parent closes the pipe or dies."""
    end_with(parent)
    requests, replies = os.dup(0), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # an environment that prints disturbs nobody
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    try:
        make = factory(spec)
        if wrong := misshapen(make):
            raise UserError(wrong)
    except UserError as error:
        return say(replies, {"mistake": str(error)})
    except Exception:  # it goes to the user, who is told in words
        return say(replies, {"mistake": traceback.format_exc(limit=-3)})
    say(replies, {"mistake": None})
    gc.collect()
    gc.freeze()  # children share these pages
    Host(make, requests, replies, memory_mb).run()


def say(replies: IO[bytes], value: Any) -> None:
    replies.write(json.dumps(value).encode() + b"\n")
    replies.flush()


class Host:
    """The children, and the loop that passes requests on and answers back."""

    def __init__(self, make: Callable[[], Any], requests: int, replies: IO[bytes], memory_mb: int) -> None:
        self.make, self.requests, self.replies, self.memory_mb = make, requests, replies, memory_mb
        self.children: dict[int, Child] = {}
        self.queue: deque[dict[str, Any]] = deque()
        self.looking = selectors.DefaultSelector()
        self.looking.register(requests, selectors.EVENT_READ, None)
        self.unread = b""

    def run(self) -> None:
        while True:
            self.pass_on()
            soonest = min((c.until for c in self.children.values() if c.waiting >= 0), default=None)
            timeout = None if soonest is None else max(0.0, soonest - time.monotonic())
            if self.queue and timeout is not None:
                timeout = min(timeout, SOON_S)
            for key, _ in self.looking.select(timeout):
                if key.data is None:
                    read = os.read(self.requests, 1 << 20)
                    if not read:
                        for id in list(self.children):
                            self.end(id)
                        return
                    *lines, self.unread = (self.unread + read).split(b"\n")
                    for line in lines:
                        self.take(json.loads(line))
                elif key.data in self.children:
                    self.answer(key.data)
            self.end_late()

    def end_late(self) -> None:
        """End those whose time is over; an answer that has come meanwhile counts."""
        now = time.monotonic()
        for id, child in list(self.children.items()):
            if child.waiting >= 0 and child.until <= now and child.late(now, held_up(child.pid)):
                if answered(child.link):
                    self.answer(id)
                else:
                    self.lose(id, f"it gave no answer within {child.limit:g} s, and was killed")

    def take(self, asked: dict[str, Any]) -> None:
        if asked["op"] == "close":
            self.queue = deque(each for each in self.queue if each["id"] != asked["id"]) if self.queue else self.queue
            self.end(asked["id"])
        else:
            self.queue.append(asked)

    def pass_on(self) -> None:
        """Let those have their turn for whom there is room."""
        if not self.queue:
            return
        now = time.monotonic()
        busy = [c for c in self.children.values() if c.waiting >= 0]
        if len(busy) >= AT_ONCE:
            busy = [c for c in busy if now < c.began + SOON_S or works(c.pid)]
        for _ in range(min(len(self.queue), AT_ONCE - len(busy))):
            self.request(self.queue.popleft())

    def request(self, asked: dict[str, Any]) -> None:
        id = asked["id"]
        if id not in self.children:
            if asked["op"] != "reset":
                say(self.replies, {"id": id, "n": asked["n"], "error": "its process is gone"})
                return
            self.children[id] = self.fork()
            self.looking.register(self.children[id].link, selectors.EVENT_READ, id)
        child = self.children[id]
        child.waiting, child.limit = asked["n"], asked["seconds"]
        child.began, child.held = time.monotonic(), held_up(child.pid)
        child.until = child.began + child.limit
        try:
            child.link.sendall(json.dumps(asked).encode() + b"\n")
        except OSError:
            self.lose(id, self.died(id))

    def fork(self) -> Child:
        ours, theirs = socket.socketpair()
        ours.settimeout(SEND_S)
        host = os.getpid()
        pid = os.fork()
        if pid == 0:
            kept = theirs.detach()
            os.closerange(3, kept)  # the others' links, and our own
            os.closerange(kept + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
            os.setsid()
            end_with(host)
            play(self.make, kept, self.memory_mb)
        theirs.close()
        return Child(pid, ours)

    def answer(self, id: int) -> None:
        """Pass on what a child said."""
        child = self.children[id]
        try:
            read = child.link.recv(1 << 20)
        except OSError:
            read = b""
        if not read:
            self.lose(id, self.died(id))
            return
        child.unread += read
        if len(child.unread) > MOST_LINE:
            self.lose(id, f"its answer has more than {MOST_LINE} bytes, and it was killed")
        elif child.unread.endswith(b"\n"):
            line, child.unread = bytes(child.unread), bytearray()
            try:
                found = json.loads(line)
                if not isinstance(found, dict) or child.waiting < 0:
                    raise ValueError
            except ValueError:
                self.lose(id, "it wrote something else than an answer, and was killed")
                return
            number, child.waiting = child.waiting, -1
            say(self.replies, {**found, "id": id, "n": number})

    def died(self, id: int) -> str:
        pid = self.children[id].pid
        done, status = os.waitpid(pid, os.WNOHANG)
        deadline = time.monotonic() + 1.0
        while not done and time.monotonic() < deadline:
            time.sleep(0.002)
            done, status = os.waitpid(pid, os.WNOHANG)
        if not done:
            return "it closed its link"
        self.children[id].pid = 0
        return f"it was killed by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"it exited with {status >> 8}"

    def lose(self, id: int, why: str) -> None:
        number = self.children[id].waiting
        self.end(id)
        if number >= 0:
            say(self.replies, {"id": id, "n": number, "error": why})

    def end(self, id: int) -> None:
        """Kill a child and what it started."""
        child = self.children.pop(id, None)
        if child is None:
            return
        self.looking.unregister(child.link)
        child.link.close()
        if child.pid:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(child.pid, signal.SIGKILL)  # it has not come to its own group yet
            os.waitpid(child.pid, 0)


def works(pid: int) -> bool:
    """Whether a process uses a processor, or would if it had one; False where that cannot be known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"R"
    except (OSError, IndexError):
        return False


def answered(link: socket.socket) -> bool:
    """Whether something has come that nobody has read yet."""
    looking = select.poll()
    looking.register(link, select.POLLIN)
    return bool(looking.poll(0))


def held_up(pid: int) -> float:
    """Seconds that a process was ready to work and had no processor; 0 where that cannot be known."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def play(make: Callable[[], Any], link: int, memory_mb: int) -> None:
    """What a child does: answer, until the link is closed. Never returns."""
    code = 0
    try:
        limit_memory(memory_mb)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        episode = Episode(make)
        lines, replies = os.fdopen(link, "rb"), os.fdopen(os.dup(link), "wb")
        for line in lines:
            try:
                found = episode.answer(json.loads(line))
            except UserError as error:
                found = {"mistake": str(error)}
            except MemoryError:
                found = {"error": f"it used more than {memory_mb} MB"}
            except Exception as error:  # the one boundary where what a class raises becomes data
                found = {"error": f"{type(error).__name__}: {error}{place(error)}"}
            say(replies, found)
    except BaseException:
        code = 1
    finally:
        os._exit(code)


def place(error: Exception) -> str:
    """Where it was raised; nothing where that is what asks the class."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return "" if where.filename == inspect.getfile(Episode) else f" ({os.path.basename(where.filename)}, line {where.lineno})"


def limit_memory(megabytes: int) -> None:
    """As much beyond what was inherited."""
    if megabytes and sys.platform == "linux":
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20,) * 2)
