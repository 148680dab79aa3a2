"""A real run on a micro student, killed and resumed: python resumed_run.py DIRECTORY SETTING… -- CASE…

DIRECTORY/whole is a run that nobody disturbs. Each CASE is `FAULT:N` (SIGKILL at the Nth time that a commit passes FAULT) or
`after:SECONDS` (SIGKILL from outside, later each time), and has a directory of its own. Each attempt is a forked child of the
process that made the undisturbed run, so that everything is imported once; one thread each, for threads do not survive a fork.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from sharpen.core import UserError
from sharpen.loop import loop
from sharpen.store.store import Store
from sharpen.terminal import terminal

DEADLINE = 120.0  # seconds that one attempt may take


def attempt(directory: Path, settings: list[str], fault) -> None:
    """Begin the run, or go on with it."""
    request = loop.Request("quickstart", tuple(settings), 3, "6steps", None, "chain_sum/1-2,spell_backward/1", directory)
    try:
        Store.open(directory).close()
    except UserError:
        loop.start(request, terminal.Quiet(), fault)
    else:
        loop.resume(directory, terminal.Quiet(), fault)


def forked(directory: Path, settings: list[str], fault, kill_after: float | None = None) -> bool:
    """True where the child finished, False where it was killed; anything else ends this program."""
    child = os.fork()
    if child == 0:
        try:
            attempt(directory, settings, fault)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    began = time.monotonic()
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        passed = time.monotonic() - began
        if passed > DEADLINE:
            os.kill(child, signal.SIGKILL)
            sys.exit(f"an attempt took more than {DEADLINE:.0f} s")
        if kill_after is not None and passed > kill_after:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    _, status = os.waitpid(child, 0)
    if status not in (0, signal.SIGKILL):
        sys.exit(f"the child ended with status {status}")
    return status == 0


def run_case(directory: Path, settings: list[str], case: str) -> None:
    point, _, number = case.partition(":")
    left = int(number) if point != "after" else 0

    def fault(name: str) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    killed = 0
    if point == "after":
        while not forked(directory, settings, lambda name: None, kill_after=float(number) * (1 + killed)):
            killed += 1
    else:
        killed += not forked(directory, settings, fault)
        forked(directory, settings, lambda name: None)
    print(case, "killed", killed, flush=True)


if __name__ == "__main__":
    root, rest = Path(sys.argv[1]), sys.argv[2:]
    cut = rest.index("--")
    attempt(root / "whole", rest[:cut], lambda name: None)
    for one in rest[cut + 1 :]:
        run_case(root / one.replace(":", "-"), rest[:cut], one)
