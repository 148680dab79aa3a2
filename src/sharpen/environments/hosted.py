"""Environments that live in processes of their own: `open_env` makes one, and what it is asked comes back as a Future.

1. A SPEC has as many hosts (host.py) as there are cores, or workers of `workers.using`, started when the first environment is
   reset, ended with this process.
2. A host that dies takes its environments with it: their rollouts fail, the next ones get a new host.
3. An environment can be copied at any time: `copy` plays on from here. Where its class has `snapshot`, that is taken; elsewhere
   the same actions are played again, and an observation that differs then is said to.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Any

from sharpen import workers
from sharpen.core import Act, Failed, Observation, Task, UserError
from sharpen.environments.episode import verdict_of
from sharpen.environments.host import AT_ONCE, HELD_UP
from sharpen.environments.loading import checked

MEMORY_MB = 1024  # that an environment may use beyond what its code takes
START_S = 600.0  # until a host has imported its code, beside others that use the cores
STARTS = 8  # of a host whose machine goes away meanwhile
GRACE_S = 2.0  # for a host's own answer, beyond an environment's time
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from sharpen.environments.host import serve; serve(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))"
)


class Host:
    """A host process and the thread that reads its answers."""

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.child = workers.start(BOOT, spec, str(MEMORY_MB))
        self.lock = threading.Lock()
        self.numbers = itertools.count()
        self.waiting: dict[int, Future[Any]] = {}
        self.ready: Future[str | None] = Future()
        self.lost = ""
        self.gone: deque[int] = deque()  # environments that nobody holds any more: they are ended with the next request
        self.reader = threading.Thread(target=self.read, name=f"host of {spec}", daemon=True)
        self.reader.start()

    def send(self, id: int, op: str, seconds: float, **more: Any) -> Future[dict[str, Any]]:
        """What comes of a request, once it comes. Failed where the host is gone."""
        future: Future[dict[str, Any]] = Future()
        with self.lock:
            number = next(self.numbers)
            self.waiting[number] = future
            line = json.dumps({"id": id, "n": number, "op": op, "seconds": seconds, **more}).encode() + b"\n"
            while self.gone:
                line = json.dumps({"id": self.gone.popleft(), "op": "close"}).encode() + b"\n" + line
            try:
                if self.lost:
                    raise OSError(self.lost)
                left = memoryview(line)
                while left:
                    left = left[self.child.stdin.write(left) :]
            except (OSError, ValueError) as error:  # ValueError: its pipe is closed
                self.waiting.pop(number, None)
                future.set_exception(Failed(f"the environment's host is gone: {error}"))
        return future

    def patience(self, seconds: float) -> float:
        """Within how long an answer comes, or the host itself is stuck: all that wait before it may take as long as it may, and
        may be kept from a processor as long as the host allows."""
        return seconds * (1 + HELD_UP) * (1 + len(self.waiting) / AT_ONCE) + GRACE_S

    def read(self) -> None:
        for line in iter(self.child.stdout.readline, b""):
            found = json.loads(line)
            if "n" not in found:
                self.ready.set_result(found["mistake"])
                continue
            with self.lock:
                future = self.waiting.pop(found["n"], None)
            if future is None:
                continue
            if "error" in found:
                future.set_exception(Failed(f"the environment failed: {found['error']}"))
            elif found.get("mistake"):
                future.set_exception(UserError(found["mistake"]))
            else:
                future.set_result(found)
        with self.lock:
            self.lost = self.child.gone or self.child.ended(GRACE_S) or "it closed its output"
            self.child.kill()
            left, self.waiting = list(self.waiting.values()), {}
        for future in left:
            future.set_exception(Failed(f"the environment's host is gone: {self.lost}"))
        if not self.ready.done():
            self.ready.set_result(f"The process of {self.spec} did not start: {self.lost}.")

    def begun(self) -> None:
        """Wait until its code is there. UserError where it cannot be."""
        try:
            mistake = self.ready.result(timeout=START_S)
        except Late:
            mistake = f"it was not ready within {START_S:g} s"
        if mistake:
            self.close()
            raise UserError(f"The environment {self.spec} cannot be loaded:\n{mistake}")

    def close(self) -> None:
        self.child.stdin.close()
        self.reader.join(GRACE_S)
        self.child.signal()
        self.reader.join(GRACE_S)


_hosts: dict[tuple[int, int, str], list[Host]] = {}
_lock = threading.Lock()
_ids = itertools.count(1)


def host_of(spec: str, id: int) -> Host:
    """A host for environment `id`. UserError where its code cannot be loaded, or no machine is left for it."""
    said = ""
    for _ in range(STARTS):
        try:
            found = host(spec, id)
            found.begun()
            return found
        except workers.Gone as error:
            said = str(error)
        except UserError:
            if not found.child.gone:
                raise
            said = found.child.gone
    raise UserError(f"workers_gone: no machine of --workers starts an environment ({said}). Start them, then resume the run.")


def host(spec: str, id: int) -> Host:
    """The host of environment `id`, a new one where that is lost."""
    with _lock:
        hosts = _hosts.setdefault((os.getpid(), workers.elsewhere(), spec), [])
        place = id % workers.slots()
        while len(hosts) <= place:
            hosts.append(Host(spec))
        if hosts[place].lost:
            hosts[place] = Host(spec)
        return hosts[place]


def ready(spec: str) -> None:
    """Load an environment's code in its host, so that a mistake in it shows before anything else is done. UserError."""
    host_of(checked(spec), 0)


@atexit.register
def close() -> None:
    """End all hosts, and with them all environments."""
    with _lock:
        for hosts in _hosts.values():
            for host in hosts:
                host.close()
        _hosts.clear()


class Hosted:
    """One environment. It is made at its first reset, and ends with `close`, or when nobody holds it any more."""

    def __init__(self, spec: str, data: Mapping[str, Any]) -> None:
        self.spec, self.data, self.id = checked(spec), dict(data), next(_ids)
        self.about: dict[str, Any] = {}
        self.host: Host | None = None
        self.past: list[tuple[str, str]] = []  # actions, and what they showed
        self.origin: Hosted | None = None  # of a copy that was not needed yet
        self.behind = 0  # requests that a copy needs until it is where its origin was

    @property
    def tools(self) -> list[dict[str, Any]]:
        """Known once it was reset."""
        return self.about.get("tools", [])

    @property
    def words(self) -> bool:
        """Whether it takes all that the model says."""
        return bool(self.about.get("words"))

    def begin(self, act: Act) -> Future[Observation]:
        """What an action comes to."""
        if self.origin is not None and act.kind != "reset":
            return aside(self.replayed, act)
        if self.host is None:
            self.host = host_of(self.spec, self.id)
        more: dict[str, Any] = {"task": self.data} if act.kind == "reset" else {"action": act.action}
        answer = self.host.send(self.id, act.kind, act.seconds, **more)
        seen: Future[Observation] = Future()
        answer.add_done_callback(lambda done: self.take(act, done, seen))
        return seen

    def take(self, act: Act, done: Future[dict[str, Any]], seen: Future[Observation]) -> None:
        error = done.exception()
        if error is not None:
            seen.set_exception(error)
            return
        found = done.result()
        if act.kind == "reset":
            self.about, self.past = {k: found[k] for k in ("tools", "words", "judges", "snapshots")}, []
        elif act.kind == "step":
            self.past.append((act.action, found["text"]))
        verdict = verdict_of(found["verdict"]) if found.get("verdict") else None
        seen.set_result(Observation(found["text"], found.get("done", False), found.get("parts", {}), verdict))

    def copy(self) -> Hosted:
        """Another environment that is where this one is; it costs nothing until something is done to it."""
        made = Hosted(self.spec, self.data)
        made.origin, made.about, made.past = self, self.about, list(self.past)
        made.behind = 2 + len(self.past)
        return made

    def replayed(self, act: Act) -> Observation:
        """Bring a copy to where it begins, and act."""
        origin, past, self.origin = self.origin, list(self.past), None
        assert origin is not None
        self.now(Act(self, "", act.seconds, kind="reset"))
        self.past = []
        saved = None
        if self.about.get("snapshots") and origin.host and origin.past == past:
            saved = asked(origin.host, origin.id, "snapshot", act.seconds).get("snapshot")
        if saved is not None and self.host:
            asked(self.host, self.id, "restore", act.seconds, snapshot=saved)
            self.past = past
        else:
            for action, shown in past:
                again = self.now(Act(self, action, act.seconds)).text
                if again != shown:
                    raise Failed(f"the same actions show something else when they are played again: {again!r:.100}")
        self.behind = 0
        return self.now(act)

    def step(self, action: str) -> Observation:
        """What an action shows; it is waited for. `begin` does not wait."""
        return self.now(Act(self, action))

    def now(self, act: Act) -> Observation:
        return self.begin(act).result(timeout=self.patience(act))

    def patience(self, act: Act) -> float:
        """Seconds within which `begin` has an answer to an action, whatever happens."""
        return (1 + self.behind) * (self.host.patience(act.seconds) if self.host else act.seconds + GRACE_S)

    def close(self) -> None:
        """End its process, with the next request that any environment gets."""
        if self.host is not None:
            self.host.gone.append(self.id)
            self.host = None

    def __del__(self) -> None:
        if getattr(self, "host", None) is not None:
            self.close()


def asked(host: Host, id: int, op: str, seconds: float, **more: Any) -> dict[str, Any]:
    """A request whose answer is waited for."""
    limit = host.patience(seconds)
    return host.send(id, op, seconds, **more).result(limit)


def aside(work: Any, act: Act) -> Future[Observation]:
    """Done in a thread, for it takes several requests."""
    future: Future[Observation] = Future()

    def thread() -> None:
        try:
            future.set_result(work(act))
        except Late:
            future.set_exception(Failed("the actions were not played again in time"))
        except Exception as error:  # it is raised where the observation is awaited
            future.set_exception(error)

    threading.Thread(target=thread, daemon=True).start()
    return future


def open_env(spec: str, task: Task) -> Hosted:
    """The environment of a task; its `seed` is the task's own unless its data says another."""
    return Hosted(spec, {"seed": int(task.id, 16) % 2**31, **task.data, **({"answer": task.answer} if task.answer else {})})
