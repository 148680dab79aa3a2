"""Verifiers that misbehave when the response says so; in a module of their own, because verifier processes import them."""

import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from sharpen.core import Task, UserError, Verdict
from sharpen.verify import verdicts


def odd(task: Task, response: str, notes: str = "") -> Verdict:
    """`notes` is a directory in which each process that judges leaves its id, in a file named after the response."""
    note = Path(notes or "/dev") / (ascii(response).strip("'") if notes else "null")
    with note.open("a") as file:
        print(os.getpid(), file=file)
    first = not notes or note.read_text().count("\n") == 1
    kind = response.removeprefix("once ")
    if first or kind == response:
        misbehave(kind, notes)
    return Verdict("correct", 1.0) if kind == task.answer else Verdict("wrong", 0.0, feedback=response)


def counted(task: Task, response: str, notes: str) -> Verdict:
    """Leaves a new file in the directory `notes` each time."""
    os.close(tempfile.mkstemp(dir=notes)[0])
    return Verdict("correct", 1.0) if response == task.answer else Verdict("wrong", 0.0)


def misbehave(kind: str, notes: str) -> None:
    if kind == "hang":
        time.sleep(1000)
    if kind == "spin":
        while True:
            pass
    if kind == "offspring":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        (Path(notes) / "child").write_text(str(child.pid))
        time.sleep(1000)
    if kind == "exit":
        os._exit(3)
    if kind == "sys.exit":
        sys.exit(0)
    if kind == "killed":
        os.kill(os.getpid(), 9)
    if kind == "raise":
        raise ZeroDivisionError("the verifier fell over")
    if kind == "print":
        print("not a verdict", flush=True)
        os.write(1, b'[{"outcome": "correct", "reward": 1.0}, 0.0, null]\n')
    if kind == "close":
        os.closerange(0, 3)
    if kind == "mistake":
        raise UserError("there is no such thing")


def nothing(task: Task, response: str) -> Verdict:
    return None  # type: ignore[return-value]


def where(task: Task, response: str) -> Verdict:
    """Correct; feedback tells the process, whether it knows torch, and what its standard input holds."""
    return Verdict("correct", 1.0, feedback=f"{os.getpid()} {'torch' in sys.modules} {sys.stdin.read()!r}")


def dies_at_once(task: Task, response: str) -> Verdict:
    os._exit(9)


def noted(task: Task, response: str, notes: str = "", fails: float = 0.0, split: str = "train") -> Verdict:
    """As the task's own verifier, but slowly; fails on a share of a split; leaves its process's id in the directory `notes`."""
    time.sleep(0.02)
    if notes:
        (Path(notes) / str(os.getpid())).touch()
    if task.split == split and zlib.crc32(task.id.encode()) % 100 < 100 * fails:
        raise RuntimeError("no verdict on this one")
    return verdicts.verify(task, response)


def slowly(task: Task, response: str, seconds: float = 0.01) -> Verdict:
    """By the length of the answer, after a while."""
    time.sleep(seconds)
    return Verdict("correct", 1.0) if len(response) % 2 else Verdict("wrong", 0.0, {"length": len(response)}, feedback=response)
