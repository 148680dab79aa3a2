"""Verifiers that misbehave when the response says so; in a module of their own, because verifier processes import them."""

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import kills
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
        time.sleep(1000)  # noqa: TID251 - it hangs
    if kind == "spin":
        while True:
            pass
    if kind == "offspring":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        (Path(notes) / "child").write_text(str(child.pid))
        time.sleep(1000)  # noqa: TID251 - it hangs
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
    """As the task's own verifier, but fails on a share of a split. Where `notes` is given it is `doomed`."""
    if notes:
        doom(task, response, notes)
    if task.split == split and zlib.crc32(task.id.encode()) % 100 < 100 * fails:
        raise RuntimeError("no verdict on this one")
    return verdicts.verify(task, response)


def doomed(task: Task, response: str, notes: str) -> Verdict:
    """By the length of the answer; one in eight processes that are given a new one dies before its reply is out."""
    doom(task, response, notes)
    return by_length(task, response)


def doom(task: Task, response: str, notes: str, then=kills.die, most: int = 16, until: str | None = "flush") -> None:
    """At an event drawn from the response, when it comes for the first time. `notes` is a directory that has a file of each
    such response; where it came again, because its process had died, the file is not empty.

    `until`: no reply is out before it, so that what is lost is this verdict, once. Twice, by our doing, would be unscorable.
    """
    name = hashlib.sha256(repr((task.id, response)).encode("utf-8", "replace")).hexdigest()
    rng, note = random.Random(name), Path(notes) / name
    if note.exists():
        note.write_text("again")
    elif rng.random() < 1 / 8:
        note.touch()
        kills.at(rng.randint(1, most), then, until=until)()


def by_length(task: Task, response: str) -> Verdict:
    return Verdict("correct", 1.0) if len(response) % 2 else Verdict("wrong", 0.0, {"length": len(response)}, feedback=response)


def unboxed(task: Task, response: str, notes: str, most: int = 0) -> Verdict:
    """As the task's own verifier; but now and then, at an event on the way, the broker of its sandbox is killed."""
    from sharpen import sandbox

    def kill() -> None:
        if process := sandbox.shared()._connection._process:
            process.kill()

    if most:
        doom(task, response, notes, kill, most, None)
    try:
        return verdicts.verify(task, response)
    finally:
        sys.setprofile(None)
