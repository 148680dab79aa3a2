"""The process that starts programs, watches them and reports: standard library only, one thread, one event loop.

Three processes, so that nothing survives whichever of them dies; each is killed when the one above it ends, and the broker
ends when its client closes the channel or dies:

    keeper    removes cgroups and temporary directories at the end
    holder    made the namespaces (level `full`)
    broker    the first process of the process namespace: when it ends, the kernel kills all that it started

A program goes through: an empty box with its files; bubblewrap (or supervisor.py), which stops before the first instruction;
limits and cgroup, set from outside; released; watched until its last process is dead; its files read; reported.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sharpen.sandbox import bubblewrap, limits, linux, memory, plain, wire
from sharpen.sandbox.program import Program, Result

SETUP_S = 10.0  # for bubblewrap to come to the program's first instruction, and for a killed program to be gone
CHUNK = 1 << 16
SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})  # a program starts with none of them ignored
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@dataclass
class Running:
    """One program on its way."""

    number: int
    program: Program
    slot: int
    box: str
    monitor: int  # process id of bubblewrap outside the namespace, or of the supervisor; 0 once reaped
    block: int  # descriptor: writing there lets the program start
    deadline: float
    first: int = 0  # process id of the namespace's first process, as the broker sees it
    first_fd: int = -1  # pidfd of it
    started: float | None = None
    ended: float | None = None
    code: int | None = None
    killed: str = ""  # why: a status
    group: memory.Group | None = None  # where it is in a cgroup
    oom: int = 0  # kills in there before it started
    report: bytearray = field(default_factory=bytearray)
    output: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    open: dict[str, int] = field(default_factory=dict)  # what must end before the program has: stdout, stderr, status, first


class Broker:
    def __init__(self, channel: socket.socket, config: Mapping[str, Any], home: str, groups: list[memory.Group]) -> None:
        self.channel, self.config, self.home, self.groups = channel, config, home, groups
        self.full = config["level"] == "full"
        self.selector = selectors.DefaultSelector()
        self.waiting: deque[tuple[int, Program]] = deque()
        self.running: dict[int, Running] = {}  # by slot
        self.inbox, self.outbox = bytearray(), bytearray()
        channel.setblocking(False)
        self.selector.register(channel, READ, self.talk)
        self.selector.register(config["parent"], READ, self.orphaned)

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
            self.weigh(now)
            while self.waiting and len(self.running) < self.config["jobs"]:
                self.start(*self.waiting.popleft())

    def patience(self) -> float | None:
        """Seconds until something must be done."""
        if not self.running:
            return None
        wait = min(run.deadline for run in self.running.values()) - time.monotonic()
        return max(0.0, min(wait, memory.WATCH_S))

    def orphaned(self, _: int) -> None:
        raise SystemExit(0)

    def talk(self, events: int) -> None:
        """Read what the client sends, write what it has not taken yet."""
        if events & READ:
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
        self.selector.modify(self.channel, READ | (WRITE if self.outbox else 0), self.talk)

    def reap(self) -> None:
        """Every child that has ended: monitors, and what a killed monitor left to us."""
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                for run in self.running.values():
                    if run.monitor == pid:
                        run.monitor = 0

    def start(self, number: int, program: Program) -> None:
        slot = next(i for i in range(self.config["jobs"]) if i not in self.running)
        self.send(wire.encode({"started": number}))
        owner = None
        try:
            if self.full:
                extra = len(program.stdin) + sum(map(len, program.files.values()))
                box = bubblewrap.open_box(slot, program.limits.files_mb, extra)
            else:
                box = plain.open_box(self.home, self.config["level"], slot)
                owner = plain.user(self.config["level"], slot)
            limits.write_files(f"{box}/work", program, owner)
            with open(f"{box}/../stdin", "wb") as file:  # beside the box, where the program cannot write, but may open it again
                file.write(program.stdin)
            self.launch(number, program, slot, box)
        except OSError as error:
            self.close_box(slot)
            self.send(wire.encode_result(number, Result("failed", None, b"", b"", 0.0, {}, self.config["level"], str(error))))

    def launch(self, number: int, program: Program, slot: int, box: str) -> None:
        """Start bubblewrap or the supervisor on pipes of its own."""
        names = ("stdout", "stderr", "status", "block", "args", "filter")
        pipes = {name: os.pipe() for name in names}
        written = ("block", "args", "filter")  # by us; the others are read by us
        ours = {name: pipes[name][name in written] for name in names}
        theirs = {name: pipes[name][name not in written] for name in names}
        rules = None
        try:
            for name in names[2:]:
                os.set_inheritable(theirs[name], True)
            if self.full:
                words = bubblewrap.options(box, program, self.config["path"], theirs)
                command, rules = bubblewrap.launched(box, program, self.config["path"])
                argv = ["/bwrap", "--args", str(theirs["args"]), "--", *command]
                os.write(ours["args"], words)
                os.write(ours["filter"], bubblewrap.FILTER)
            else:
                argv = plain.command(self.config, slot, box, program, theirs)
                if (owner := plain.user(self.config["level"], slot)) is not None:  # so that it may open /dev/stdout
                    for name in ("stdout", "stderr"):
                        os.fchown(theirs[name], owner, owner)
            streams = [
                (os.POSIX_SPAWN_OPEN, 0, f"{box}/../stdin", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs["stdout"], 1),
                (os.POSIX_SPAWN_DUP2, theirs["stderr"], 2),
            ]
            if rules is not None:
                streams.append((os.POSIX_SPAWN_DUP2, rules, bubblewrap.RULES))
            monitor = os.posix_spawn(argv[0], argv, {}, file_actions=streams, setsigdef=SIGNALS)
        except OSError:
            for name in names:
                os.close(ours.pop(name))
            raise
        finally:
            for descriptor in (*theirs.values(), *([rules] if rules is not None else [])):
                os.close(descriptor)
        os.close(ours["args"])
        os.close(ours["filter"])
        run = Running(number, program, slot, box, monitor, ours["block"], time.monotonic() + SETUP_S)
        self.running[slot] = run
        for name in ("stdout", "stderr", "status"):
            self.watch(run, name, ours[name])

    def watch(self, run: Running, name: str, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        run.open[name] = descriptor

        def event(_: int) -> None:
            self.event(run, name)

        self.selector.register(descriptor, READ, event)

    def event(self, run: Running, name: str) -> None:
        if name not in run.open:
            return
        data = b"" if name == "first" else os.read(run.open[name], CHUNK)
        if not data:  # end of file; a pidfd is ready when its process is dead, and with it all of its namespace
            descriptor = run.open.pop(name)
            self.selector.unregister(descriptor)
            os.close(descriptor)
            if name == "first":
                run.first_fd = -1
            if name == "status":
                self.kill(run, "")
        elif name == "status":
            run.report += data
            self.read_report(run)
        else:
            kept, cap = run.output[name], run.program.limits.output_bytes
            kept += data
            if len(kept) > cap:
                del kept[cap:]
                self.kill(run, "output")

    def read_report(self, run: Running) -> None:
        """bubblewrap's --json-status-fd: one JSON object to a line."""
        while b"\n" in run.report:
            line, _, run.report = run.report.partition(b"\n")
            message = json.loads(line)
            if "child-pid" in message:
                self.release(run, message["child-pid"])
            if "exit-code" in message:
                run.ended = time.monotonic()
                run.code = message["exit-code"]
                self.kill(run, "")

    def release(self, run: Running, pid: int) -> None:
        """Put the limits on a program that waits before its first instruction, and let it go."""
        try:
            if self.full:
                run.first_fd = os.pidfd_open(pid)
                self.watch(run, "first", run.first_fd)
            run.first = pid
            own_user = self.full or plain.user(self.config["level"], run.slot) is not None
            limits.set_limits(pid, run.program.limits, own_user)
            asked = run.program.limits
            if self.groups and not asked.address_space:
                run.group = self.groups[run.slot]
                run.oom = run.group.kills()
                run.group.admit(pid, int((asked.memory_mb + asked.files_mb) * limits.MEGABYTE))
            os.write(run.block, b"x")
        except OSError:  # it died before it began; its end shows in the other descriptors
            self.kill(run, "failed")
        run.started = time.monotonic()
        run.deadline = run.started + run.program.limits.wall_s

    def weigh(self, now: float) -> None:
        """Kill what holds too much memory, or runs more processes than the kernel stopped (it does not count those of root).

        In a cgroup the kernel kills one process at a time, and the rest of a program may wait for the dead until its deadline.
        """
        old = {run.first: run for run in self.running.values() if run.started and now - run.started > memory.WATCH_S}
        if not old:
            return
        for run in old.values():
            if run.group and run.group.kills() > run.oom:
                self.kill(run, "memory")
        for first, used in memory.usage(old).items():
            asked = old[first].program.limits
            most = asked.memory_mb * limits.MEGABYTE
            heavy = not old[first].group and used.resident > most and memory.proportional(first) > most
            if heavy or used.processes > asked.processes + 1:  # bubblewrap's first process is not the program's
                self.kill(old[first], "memory")

    def kill(self, run: Running, why: str) -> None:
        """End everything that belongs to the program. The first reason is the one that is reported."""
        if run.code is None and not run.killed:
            run.killed = why
        with contextlib.suppress(ProcessLookupError):
            if run.first_fd >= 0:
                signal.pidfd_send_signal(run.first_fd, signal.SIGKILL)
            elif run.monitor:
                os.kill(run.monitor, signal.SIGKILL if self.full else signal.SIGTERM)
            elif not self.full:
                self.sweep()

    def sweep(self) -> None:
        """Kill what a supervisor that died left to us."""
        monitors = {run.monitor for run in self.running.values()}
        todo = [pid for pid in linux.children_of(os.getpid()) if pid not in monitors]
        while todo:
            pid = todo.pop()
            todo += linux.children_of(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def finish(self, run: Running) -> None:
        if run.monitor:  # it closed its status pipe by ending
            os.waitpid(run.monitor, 0)
        self.reap()  # the namespace's first process, which is ours now
        del self.running[run.slot]
        os.close(run.block)
        if run.group and run.group.kills() > run.oom:
            run.killed = "memory"
        files = limits.read_files(f"{run.box}/work", run.program)
        self.close_box(run.slot)
        self.send(wire.encode_result(run.number, conclude(run, files, self.config["level"])))

    def close_box(self, slot: int) -> None:
        with contextlib.suppress(OSError):
            if self.full:
                bubblewrap.close_box(slot)
            else:
                plain.remove(f"{self.home}/{slot}")


def conclude(run: Running, files: Mapping[str, bytes], level: str) -> Result:
    stdout, stderr = bytes(run.output["stdout"]), bytes(run.output["stderr"])
    seconds = (run.ended or time.monotonic()) - run.started if run.started is not None else 0.0
    if run.killed and run.killed != "failed":
        return Result(run.killed, None, stdout, stderr, seconds, files, level)
    if run.killed or run.code is None:
        detail = "the program could not be started: " + stderr.decode(errors="replace").strip()
        return Result("failed", None, stdout, stderr, seconds, files, level, detail)
    if run.code > 128:
        return Result("signalled", run.code - 128, stdout, stderr, seconds, files, level)
    return Result("exited", run.code, stdout, stderr, seconds, files, level)


def main(config: dict[str, Any]) -> None:
    """The broker's command. Descriptors 0 (channel) and config["parent"] (pidfd of the client) are inherited."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)
    os.set_inheritable(config["parent"], False)
    channel = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    memory.remove_stale_groups()
    groups = memory.make_groups(config["jobs"])
    home = "" if config["level"] == "full" else plain.make_home()
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child:
        channel.close()
        keep(child, home, groups)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        if config["level"] == "full":
            bubblewrap.enter(config["bwrap"], config["binds"], config["jobs"])
            if grandchild := os.fork():
                channel.close()
                os.waitpid(grandchild, 0)
                os._exit(0)
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
            bubblewrap.first_process()
        else:
            linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    except OSError as error:
        channel.sendall(wire.encode({"ready": False, "detail": str(error)}))
        return
    channel.sendall(wire.encode({"ready": True, "cgroups": bool(groups)}))
    Broker(channel, config, home, groups).serve()


def keep(child: int, home: str, groups: list[memory.Group]) -> None:
    """Wait for the broker's end, kill what it left to us, and remove what it used."""
    os.waitpid(child, 0)
    for pid in linux.children_of(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)  # supervisors: they kill their own
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    memory.remove_groups(groups)
    if home:
        plain.remove(home)
    os._exit(0)
