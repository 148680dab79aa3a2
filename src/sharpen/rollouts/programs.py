"""Programs of rollouts (`Run`): in this machine's sandbox, or in those of other machines, inside `workers.using`.

A machine that goes away while a program runs costs only that: the program runs again on another.
"""

from __future__ import annotations

import json
import select
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from sharpen import workers
from sharpen.core import Failed, Ran, Run, UserError, shortened
from sharpen.verify.code import Budget, Refused, build, execute

STATUS = {"exited": "ok", "signalled": "crash", "memory": "limit", "output": "limit", "refused": "malformed"}
SETTLE_S = 30.0  # for the sandbox, beyond what the program itself may take
TRIES = 4  # of a program whose machine goes away
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from sharpen.rollouts.programs import serve; serve(int(sys.argv[2]))"
)


def run(event: Run) -> Ran:
    """Run a program on its input. Raises UserError where the language or the sandbox is missing, Failed where it failed."""
    if not workers.elsewhere():
        return here(event)
    said = ""
    for _ in range(TRIES):
        try:
            return there(event)
        except workers.Gone as error:
            said = str(error)
    raise Failed(f"the machines that ran the program went away: {said}")


def here(event: Run) -> Ran:
    """In this machine's sandbox."""
    built = build(event.language, event.code)
    if isinstance(built, Refused):
        if built.outcome == "unscorable":
            raise Failed(f"the sandbox failed: {built.reason}")
        return Ran(built.outcome, "", shortened(built.reason, event.longest))
    (found,) = execute(built, [event.stdin.encode("utf-8", "replace")], Budget(event.seconds, event.memory_mb, event.seconds))
    stdout, stderr = (shortened(said.decode("utf-8", "replace"), event.longest) for said in (found.stdout, found.stderr))
    if found.status == "failed":
        raise Failed(f"the sandbox failed: {stderr}")
    ended = "crash" if found.status == "exited" and found.code else STATUS.get(found.status, found.status)
    return Ran(ended, stdout, stderr, found.seconds)


# Elsewhere: a child for each program that runs, kept for the next one.

_idle: list[tuple[int, workers.Child]] = []  # and the machines that it is of
_room: dict[int, threading.Semaphore] = {}  # for children, by machines
_lock = threading.Lock()


def there(event: Run) -> Ran:
    """On another machine. Raises Gone with it."""
    place = workers.elsewhere()
    with _lock:
        room = _room.setdefault(place, threading.Semaphore(workers.slots()))
    with room:
        kind, said = asked(place, event)
    if kind == "ran":
        return Ran(**said)
    raise (UserError if kind == "mistake" else Failed)(said)


def asked(place: int, event: Run) -> tuple[str, Any]:
    """What a child of these machines says of a program."""
    with _lock:
        mine = [pair for pair in _idle if pair[0] == place]
        if mine:
            _idle.remove(mine[-1])
    child = mine[-1][1] if mine else workers.start(BOOT)
    try:
        left = memoryview(json.dumps(asdict(event)).encode() + b"\n")
        while left:
            left = left[child.stdin.write(left) :]
        kind, said = json.loads(answer(child, time.monotonic() + event.seconds + SETTLE_S))
    except OSError as error:
        raise workers.Gone(child.gone or "its pipe is closed") from error
    except BaseException:
        child.kill()
        raise
    with _lock:
        _idle.append((place, child))
    return kind, said


def answer(child: workers.Child, until: float) -> bytes:
    """The line that it says. Gone with its machine, Failed where it says none in time."""
    said = b""
    while not said.endswith(b"\n"):
        if not select.select([child.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            raise Failed("the sandbox of another machine said nothing in time")
        more = child.stdout.read(1 << 20)
        if not more:
            why = child.ended(1.0)
            raise workers.Gone(child.gone) if child.gone else Failed(f"the sandbox failed: {why}")
        said += more
    return said


def serve(parent: int) -> None:
    """In the child: run programs, one after the other."""
    workers.end_with(parent)
    for line in sys.stdin:
        reply: tuple[str, Any]
        try:
            reply = "ran", asdict(here(Run(**json.loads(line))))
        except UserError as error:
            reply = "mistake", str(error)
        except Failed as error:
            reply = "failed", str(error)
        print(json.dumps(reply), flush=True)
