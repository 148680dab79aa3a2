"""The process that starts programs, watches them and reports: standard library only, one thread, one event loop.

Three processes, so that nothing survives whichever of them dies:
    keeper    removes the memory cgroups at the end
    holder    made the namespaces; waits
    broker    the first process of the process namespace: when it ends, the kernel kills all that it started
Each is killed when the one above it ends, and the broker ends when its client closes the channel or dies.

A program goes through: a fresh tmpfs; bubblewrap, which stops before the program's first instruction (--block-fd); limits and cgroup set
from outside on the stopped process; released; watched until its namespace is empty; its files read; reported.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import socket
import stat
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sharpen.sandbox import bubblewrap, linux, wire
from sharpen.sandbox.program import Limits, Program, Result

SETUP_S = 10.0  # for bubblewrap to come to the program's first instruction
CHUNK = 1 << 16
SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})  # a program starts with none of them ignored


@dataclass
class Running:
    """One program on its way. Descriptors are -1 once closed."""

    number: int
    program: Program
    slot: int
    monitor: int  # process id of bubblewrap outside the namespace; 0 once reaped
    deadline: float
    first: int = 0  # process id of the namespace's first process, as the broker sees it
    first_fd: int = -1  # pidfd of it
    block: int = -1  # writing here lets the program start
    started: float | None = None
    ended: float | None = None
    code: int | None = None
    killed: str = ""  # why: a status
    report: bytearray = field(default_factory=bytearray)
    output: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    open: dict[str, int] = field(default_factory=dict)  # what must end before the program has: stdout, stderr, status, first


class Broker:
    def __init__(self, channel: socket.socket, parent: int, jobs: int, path: str) -> None:
        self.channel, self.path, self.jobs = channel, path, jobs
        self.selector = selectors.DefaultSelector()
        self.waiting: deque[tuple[int, Program]] = deque()
        self.running: dict[int, Running] = {}  # by slot
        self.inbox, self.outbox = bytearray(), bytearray()
        channel.setblocking(False)
        self.selector.register(channel, selectors.EVENT_READ, self.talk)
        self.selector.register(parent, selectors.EVENT_READ, self.orphaned)

    def orphaned(self, _: int) -> None:
        raise SystemExit(0)

    def serve(self) -> None:
        """Until the client is gone."""
        while True:
            for key, events in self.selector.select(self.patience()):
                key.data(events)
            self.reap()
            now = time.monotonic()
            for run in list(self.running.values()):
                if now >= run.deadline:
                    self.kill(run, "timeout" if run.started is not None else "failed")
                    run.deadline = now + SETUP_S
                if not run.open:
                    self.finish(run)
            while self.waiting and len(self.running) < self.jobs:
                self.start(*self.waiting.popleft())

    def patience(self) -> float | None:
        """Seconds until something must be done."""
        if not self.running:
            return None
        return max(0.0, min(run.deadline for run in self.running.values()) - time.monotonic())

    def talk(self, events: int) -> None:
        """Read what the client sends, write what it has not taken yet."""
        if events & selectors.EVENT_READ:
            data = self.channel.recv(1 << 20)
            if not data:
                raise SystemExit(0)
            self.inbox += data
            while (message := wire.decode(self.inbox)) is not None:
                header, blobs = message
                self.waiting.append((header["number"], wire.decode_program(header, blobs)))
        self.send(b"")

    def send(self, data: bytes) -> None:
        self.outbox += data
        with contextlib.suppress(BlockingIOError):
            while self.outbox:
                del self.outbox[: self.channel.send(self.outbox[: 1 << 20])]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outbox else 0)
        self.selector.modify(self.channel, events, self.talk)

    def reap(self) -> None:
        """Every child that has ended: bubblewraps, and what a killed one left to us."""
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                for run in self.running.values():
                    if run.monitor == pid:
                        run.monitor = 0

    def start(self, number: int, program: Program) -> None:
        slot = next(i for i in range(self.jobs) if i not in self.running)
        self.send(wire.encode({"started": number}))
        extra = len(program.stdin) + sum(map(len, program.files.values()))
        box = bubblewrap.open_box(slot, program.limits.files_mb, extra)
        write_files(box + "/work", program)
        stdin = box + "/../stdin"
        with open(stdin, "wb") as file:
            file.write(program.stdin)
        ends: dict[str, tuple[int, int]] = {n: os.pipe() for n in ("stdout", "stderr", "status", "block", "args", "filter")}
        ours = {"stdout": 0, "stderr": 0, "status": 0, "block": 1, "args": 1, "filter": 1}
        theirs = {name: ends[name][1 - ours[name]] for name in ends}
        for name in ("status", "block", "args", "filter"):
            os.set_inheritable(theirs[name], True)
        words = bubblewrap.options(box, program, self.path, theirs["status"], theirs["block"], theirs["filter"])
        os.write(ends["args"][1], words)
        os.write(ends["filter"][1], bubblewrap.FILTER or b"")
        for name in ("args", "filter"):
            os.close(ends[name][1])
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, theirs["stdout"], 1),
            (os.POSIX_SPAWN_DUP2, theirs["stderr"], 2),
        ]
        argv = bubblewrap.command(box, program, theirs["args"])
        monitor = os.posix_spawn(argv[0], argv, {}, file_actions=actions, setsigdef=SIGNALS)
        for descriptor in theirs.values():
            os.close(descriptor)
        run = Running(number, program, slot, monitor, time.monotonic() + SETUP_S, block=ends["block"][1])
        self.running[slot] = run
        for name in ("stdout", "stderr", "status"):
            self.watch(run, name, ends[name][0])

    def watch(self, run: Running, name: str, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        run.open[name] = descriptor
        action: Callable[[int], None] = lambda _: self.event(run, name)  # noqa: E731
        self.selector.register(descriptor, selectors.EVENT_READ, action)

    def unwatch(self, run: Running, name: str) -> None:
        descriptor = run.open.pop(name)
        self.selector.unregister(descriptor)
        if name != "first":
            os.close(descriptor)

    def event(self, run: Running, name: str) -> None:
        if name not in run.open:
            return
        if name == "first":  # the namespace's first process is dead, so everything in it is
            self.unwatch(run, "first")
            return
        data = os.read(run.open[name], CHUNK)
        if not data:
            self.unwatch(run, name)
            if name == "status":
                self.kill(run, "")
            return
        if name == "status":
            run.report += data
            self.read_report(run)
            return
        kept, cap = run.output[name], run.program.limits.output_bytes
        kept += data
        if len(kept) > cap:
            del kept[cap:]
            self.kill(run, "output")

    def read_report(self, run: Running) -> None:
        """bubblewrap's --json-status-fd: one JSON object to a line."""
        while b"\n" in run.report:
            line, _, rest = run.report.partition(b"\n")
            run.report = rest
            message = json.loads(line)
            if "child-pid" in message:
                run.first = message["child-pid"]
                run.first_fd = os.pidfd_open(run.first)
                self.watch(run, "first", run.first_fd)
                set_limits(run.first, run.program.limits)
                run.started = time.monotonic()
                run.deadline = run.started + run.program.limits.wall_s
                os.write(run.block, b"x")
            if "exit-code" in message:
                run.ended = time.monotonic()
                run.code = message["exit-code"]
                self.kill(run, "")

    def kill(self, run: Running, why: str) -> None:
        """End everything in the namespace. The first reason is the one that is reported."""
        if run.code is None and not run.killed:
            run.killed = why
        with contextlib.suppress(ProcessLookupError):
            if run.first_fd >= 0:
                signal.pidfd_send_signal(run.first_fd, signal.SIGKILL)
            elif run.monitor:
                os.kill(run.monitor, signal.SIGKILL)

    def finish(self, run: Running) -> None:
        del self.running[run.slot]
        for descriptor in (run.first_fd, run.block):
            if descriptor >= 0:
                os.close(descriptor)
        files = read_files(f"/slots/{run.slot}/box/work", run.program)
        bubblewrap.close_box(run.slot)
        self.send(wire.encode_result(run.number, conclude(run, files)))


def conclude(run: Running, files: dict[str, bytes]) -> Result:
    stdout, stderr = bytes(run.output["stdout"]), bytes(run.output["stderr"])
    end = run.ended or time.monotonic()
    seconds = end - run.started if run.started is not None else 0.0
    if run.killed:
        return Result(run.killed, None, stdout, stderr, seconds, files, "full")
    if run.code is None:
        detail = "bubblewrap: " + stderr.decode(errors="replace").strip()
        return Result("failed", None, stdout, stderr, seconds, files, "full", detail)
    if run.code > 128:
        return Result("signalled", run.code - 128, stdout, stderr, seconds, files, "full")
    return Result("exited", run.code, stdout, stderr, seconds, files, "full")


def set_limits(pid: int, limits: Limits) -> None:
    """On a process that waits before its first instruction; RLIMIT_NPROC counts only those in its own user namespace."""
    megabyte = 1 << 20
    cpu = limits.cpu_s if limits.cpu_s is not None else limits.wall_s + 1
    values = {
        resource.RLIMIT_CPU: max(1, int(-(-cpu // 1))),
        resource.RLIMIT_FSIZE: int(limits.files_mb * megabyte),
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_STACK: 8 * megabyte,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 64 * 1024,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 256,
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_RTPRIO: 0,
    }
    if limits.address_space:
        values[resource.RLIMIT_AS] = limits.memory_mb * megabyte
    for kind, value in values.items():
        resource.prlimit(pid, kind, (value, value))


def write_files(directory: str, program: Program) -> None:
    for path, content in program.files.items():
        full = f"{directory}/{path}"
        os.makedirs(os.path.dirname(full), exist_ok=True)
        mode = 0o755 if content.startswith((b"\x7fELF", b"#!")) else 0o644
        with open(os.open(full, os.O_CREAT | os.O_WRONLY | os.O_EXCL, mode), "wb") as file:
            file.write(content)


def read_files(directory: str, program: Program) -> dict[str, bytes]:
    """Those of `keep` that are regular files. No link on the way is followed: where it leads is not the program's to say."""
    found = {}
    for path in program.keep:
        *parents, name = path.split("/")
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            here = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, here)
            for parent in parents:
                here = os.open(parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                stack.callback(os.close, here)
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
            with open(descriptor, "rb") as file:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    found[path] = file.read(int(program.limits.files_mb * (1 << 20)))
    return found


def main(config: dict) -> None:
    """The broker's command: descriptors 0 (channel) and `parent` (pidfd of the client) are inherited."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    channel = socket.socket(fileno=0)
    os.set_inheritable(0, False)
    os.set_inheritable(config["parent"], False)
    try:
        bubblewrap.enter(config["bwrap"], config["binds"], config["jobs"])
    except OSError as error:
        channel.sendall(wire.encode({"ready": False, "detail": str(error)}))
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        bubblewrap.first_process()
    except OSError as error:
        channel.sendall(wire.encode({"ready": False, "detail": str(error)}))
        return
    channel.sendall(wire.encode({"ready": True}))
    Broker(channel, config["parent"], config["jobs"], config["path"]).serve()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
