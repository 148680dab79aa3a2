"""Math-Verify, asked about the answers that no type of ours reads; in a child process that is killed when it overruns.

Math-Verify (the extra `math`) knows much more notation than `expressions`, but it also calls different answers equal: it
compares to a few digits (1/2^99 = 1/2^98), searches the text for anything that fits, and evaluates whatever it finds. So it is
not trusted alone: its "same" counts only if it is "same" both ways round, and if it refuses the same answer against neighbours
of the task's own answer (each last number one larger, and the whole plus 1). It never decides where `equality` can.

The child is this file run by itself. It handles any number of questions, one JSON line each; limits of memory and of processor
time for one question are set inside it, and it dies of either. What it does not have is a sandbox: it is given only LaTeX,
which Math-Verify parses by a grammar, never by `parse_expr`.
"""

from __future__ import annotations

import atexit
import functools
import importlib.metadata
import importlib.util
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from typing import Any

SECONDS = 3.0  # of processor time for one question, so that a busy machine fails nobody
DEADLINE = 30.0  # seconds of wall time for one question
START_DEADLINE = 60.0  # seconds for the child to start: it imports sympy
MEMORY = 2**31  # bytes of address space of the child
MOST_QUESTIONS = 2_000  # to one child, whose caches grow
LONGEST = 1_000  # characters of an answer that is passed on
INSTALL = 'Math-Verify is not installed; pip install "sharpen[math]"'


class Child:
    """One process that answers questions, started when first asked. Not shared between processes; threads take turns."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.owner = self.asked = 0

    def ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None where the child overran a limit and is gone."""
        with self.lock:
            try:
                process = self.started()
                assert process.stdin is not None
                process.stdin.write(json.dumps(question).encode() + b"\n")
                process.stdin.flush()
                line = read_line(process, DEADLINE)
            except BrokenPipeError:
                line = b""
            self.asked += 1
            if not line or self.asked >= MOST_QUESTIONS:
                self.stop()
            return json.loads(line) if line else None

    def started(self) -> subprocess.Popen[bytes]:
        if self.owner != os.getpid():  # a fork has copied this object, but the child is its parent's
            self.process, self.owner, self.asked = None, os.getpid(), 0
        if self.process is None:
            environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
            self.process = subprocess.Popen(
                [sys.executable, "-I", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # so that Ctrl-C reaches the run alone, which then stops the child
            )
            self.asked = 0
            if read_line(self.process, START_DEADLINE) != b"ready\n":
                self.stop()
                raise RuntimeError(f"Math-Verify's process did not start within {START_DEADLINE} s, or died at once")
        return self.process

    def stop(self) -> None:
        """Kill and reap the child, if this process has one."""
        if self.process is not None and self.owner == os.getpid():
            self.process.kill()
            self.process.communicate(timeout=10)
        self.process = None


def read_line(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """One line of the child's output, or nothing where it does not come in time or the child has died."""
    assert process.stdout is not None
    end, line, pipe = time.monotonic() + deadline, b"", process.stdout.fileno()
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
        piece = os.read(pipe, 65_536) if ready else b""
        if not piece:
            return b""
        line += piece
    return line


CHILD = Child()
atexit.register(CHILD.stop)


def ask(gold: str, text: str) -> tuple[str | None, str]:
    """("same", "different" or "limit"; the version that said so), or (None, why it cannot say).

    Raises RuntimeError where the child cannot be started.
    """
    if not installed():
        return None, INSTALL
    said = f"math-verify {importlib.metadata.version('math-verify')}"
    if len(gold) > LONGEST:
        return None, f"the task's own answer is longer than {LONGEST} characters and of no type that is read here"
    if len(text) > LONGEST:
        return "different", said
    answer = CHILD.ask({"gold": gold, "text": text, "neighbours": neighbours(gold)})
    readable = answer
    if answer is None:  # whose fault is it?
        readable = CHILD.ask({"gold": gold, "text": gold, "neighbours": []})
    if readable is None or not readable["readable"]:
        return None, "Math-Verify cannot read the task's own answer"
    if answer is None:
        return "limit", said
    return "same" if answer["same"] and not any(answer["neighbours"]) else "different", said


@functools.cache
def installed() -> bool:
    return importlib.util.find_spec("math_verify") is not None


def neighbours(gold: str) -> list[str]:
    """Answers that differ from the task's own."""
    numbers = list(re.finditer(r"[0-9]+", gold))[-4:]
    nearby = [gold[: m.start()] + str(int(m[0]) + 1) + gold[m.end() :] for m in numbers if len(m[0]) < 300]
    return [*nearby, f"{gold} + 1"]


def main() -> None:
    """The child's loop. It ends with its input."""
    import logging
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    logging.disable(logging.CRITICAL)
    from math_verify import LatexExtractionConfig, parse, verify

    def read(text: str) -> list[Any]:
        plain = text.replace("$", "")
        found = parse(f"${plain}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
        return [item for item in found if not isinstance(item, str)]  # what it could not parse comes back as text

    def equal(one: list[Any], other: list[Any]) -> bool:
        return bool(one and other and verify(one, other, timeout_seconds=None) and verify(other, one, timeout_seconds=None))

    equal(read("\\frac{1}{2}"), read("0.5"))  # what is built at first use is no question's cost
    print("ready", flush=True)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # nothing handles it, so it kills, whatever the interpreter is doing
        question = json.loads(line)
        gold, text = read(question["gold"]), read(question["text"])
        same = equal(gold, text)
        near = [same and equal(read(neighbour), text) for neighbour in question["neighbours"]]
        print(json.dumps({"readable": bool(gold), "same": same, "neighbours": near}), flush=True)
        signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    main()
