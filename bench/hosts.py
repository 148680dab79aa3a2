"""Servers and workers on several hosts. python bench/hosts.py …

cut [HOSTS]     network namespaces as hosts, a server in each; one is cut off while it generates: what becomes of the run (root)
servers [SLEEP] completions a second of 1, 2 and 4 servers that sleep so many seconds a token, as a GPU would work
workers [SLEEP] verdicts a second of 1, 4 and 16 local workers whose verifier sleeps so long
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import torch
import waiting

from sharpen import loop, tasks, verify, workers
from sharpen.core import Ask, Sampling, Task
from sharpen.engines import Served
from sharpen.hashing import derive
from sharpen.models import LocalPolicy, embedded
from sharpen.serve import contract
from sharpen.store import Store
from sharpen.terminal import terminal

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
SOURCE, PORT = "chain_sum/1-2", 8000
SETTINGS = (
    *("student=micro", "precision=fp32", "prompts=20", "samples=4", "warmup_steps=40", "warmup_rows=16", "warmup_levels=1"),
    *("warmup_demos=0", "warmup_lr=0.004", "validation=8", "test=8", "round_steps=2", "max_tokens=12", "unreadable_limit=1"),
    *("guard=always", "temperature=0.9"),
)


def student() -> LocalPolicy:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return LocalPolicy(*embedded.build("micro", tasks.parse_spec(SOURCE), 3), "fp32", device="cpu")


def forked(work: Callable[[], Any]) -> int:
    """A process that does this work and ends with this one."""
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def alone() -> None:
    """A network of this process's own: everything made in it goes with it. OSError where the machine does not permit it."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    ip("link", "set", "lo", "up")


class Told(contract.Engine):
    """Says through a pipe that it is at work, before its third batch."""

    pipe, batches = -1, 0

    def together(self, rows: list[contract.Row]) -> None:
        self.batches += len(rows) > 1
        if self.batches == 3 and self.pipe >= 0:
            os.write(self.pipe, b".")
        super().together(rows)


def host(number: int, go: int, pipe: int, sleep: float) -> None:
    """A server in a network of its own, once its cable is there."""
    alone()
    os.write(pipe, b"r")
    os.read(go, 1)
    ip("addr", "add", f"10.77.0.{number + 10}/24", "dev", f"h{number}")
    ip("link", "set", f"h{number}", "up")
    engine = Told(student(), "student", sleep=sleep)
    engine.pipe = pipe
    contract.Server(engine, f"10.77.0.{number + 10}", PORT).begin()
    os.write(pipe, b"u")
    signal.pause()


def cut(hosts: int, sleep: float = 0.1) -> None:
    """The third host's cable is pulled while it generates: it says nothing any more, and closes nothing."""
    alone()
    ip("link", "add", "br0", "type", "bridge")
    ip("addr", "add", "10.77.0.1/24", "dev", "br0")
    ip("link", "set", "br0", "up")
    pipes = []
    for number in range(hosts):
        (go, gone), (ours, theirs) = os.pipe(), os.pipe()
        pid = forked(partial(host, number, go, theirs, sleep))
        os.read(ours, 1)
        ip("link", "add", f"p{number}", "type", "veth", "peer", "name", f"h{number}", "netns", str(pid))
        ip("link", "set", f"p{number}", "master", "br0")
        ip("link", "set", f"p{number}", "up")
        os.write(gone, b"g")
        pipes.append(ours)
    for pipe in pipes:
        os.read(pipe, 1)
    urls = tuple(f"http://10.77.0.{n + 10}:{PORT}" for n in range(hosts))
    when: list[float] = []

    def pull() -> None:
        os.read(pipes[2], 1)
        ip("link", "set", "p2", "down")
        when.append(time.monotonic())

    threading.Thread(target=pull, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, engines in (("here", ()), ("there", urls)):
            place, began = Path(folder) / name, time.monotonic()
            loop.start(loop.Request("grpo", SETTINGS, 3, "6steps", None, SOURCE, place, engines=engines), terminal.Quiet())
            with Store.open(place) as store:
                rows = {row[0]: (row[1], row[2]) for row in store.rows("SELECT id, tokens, logprobs FROM rollouts")}
                timed = [
                    s for (s,) in store.rows("SELECT round(seconds, 1) FROM timings WHERE phase = 'generate' ORDER BY step")
                ]
            found.append(rows)
            print(f"{name}: {time.monotonic() - began:.0f} s, {len(rows)} rollouts; generating {timed} s", flush=True)
        here, there = found
        same = sum(there.get(id, ("",))[0] == tokens for id, (tokens, _) in here.items())
        print(f"cut off: {len(when)} of {hosts}; lost {len(here.keys() - there.keys())}, tokens alike {same} of {len(here)}")


def servers(sleep: float, rows: int = 64, tokens: int = 24) -> None:
    """So many rows for each server: with twice the servers twice as many, in the same time."""
    ours, theirs = os.pipe()

    def serve() -> None:
        server = contract.Server(contract.Engine(student(), "student", sleep=sleep)).begin()
        os.write(theirs, f"{server.url} ".encode())
        signal.pause()

    for _ in range(4):
        forked(serve)
    said = b""
    while said.count(b" ") < 4:
        said += os.read(ours, 4096)
    urls, one = said.decode().split(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        for n in (1, 2, 4):
            policy = student()
            policy.elsewhere = served = Served(urls[:n], Path(folder) / str(n))
            asks = [Ask(({"role": "user", "content": f"{i // 4} + {i // 4 % 7} ="},)) for i in range(rows * n)]
            took = []
            for again in range(3):
                began = time.perf_counter()
                policy.respond(asks, [derive(again, str(i)) for i in range(len(asks))], tokens, Sampling())
                took.append(time.perf_counter() - began)
            served.close()
            rate = len(asks) / min(took[1:])
            one = one or rate
            print(f"{n} servers: {rate:.1f} completions/s, {rate / one / n:.0%} of linear ({took[1:]})", flush=True)


def judged(sleep: float, each: int = 24) -> None:
    """So many answers for each worker of `--workers local://N`."""
    task, one = Task(({"role": "user", "content": "?"},), "1", "sum", 1, "train", "exact", {}), 0.0
    for n in (1, 4, 16):
        with workers.using(f"local://{n}"), verify.Judges(partial(waiting.slow, seconds=sleep)) as judges:
            took = []
            for again in range(2):  # processes start in the first
                began = time.perf_counter()
                for i in range(each * n):
                    judges.submit(f"{again}.{i}", task, f"{again}.{i}")
                judges.collect()
                took.append(time.perf_counter() - began)
        rate = each * n / took[1]
        one = one or rate
        print(f"{n} workers: {rate:.1f} verdicts/s, {rate / one / n:.0%} of linear", flush=True)


if __name__ == "__main__":
    what, rest = (sys.argv[1:2] or [""])[0], [float(x) for x in sys.argv[2:]]
    if what == "cut":
        cut(int((rest or [10])[0]))
    elif what == "servers":
        servers((rest or [0.1])[0])
    elif what == "workers":
        judged((rest or [0.25])[0])
    else:
        sys.exit(__doc__)
