"""A real run on a micro student, killed and resumed: python resumed_run.py DIRECTORY SETTING… -- CASE…

SETTINGs may be led by the file of a recipe; else it is quickstart.

DIRECTORY/whole is a run that nobody disturbs. Each CASE has a directory of its own, and is one of

    FAULT:N      SIGKILL at the Nth time that a commit passes FAULT
    events:SEED  SIGKILL at an event drawn from the seed, later each time, until an attempt comes to the end
    bytes:N      ended in the midst of a write, as soon as a file would grow beyond N bytes

or several joined by +, which end one and the same run in turn: what one kill has changed, all that follows carries on. There
N counts the commits of the run, those before it was last killed too. A line is printed for each.

Each attempt is a forked child of the process that made the undisturbed run, so that everything is imported once; one thread
each, for threads do not survive a fork. A setting recipe=NAME takes another recipe than quickstart; commit_s=N commits whenever
N steps are done since the last commit, for the clock counts steps; ahead=K runs ahead of the learner; threads=N has so many
threads, and the undisturbed run is a child, too.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch

import kills
from sharpen.core import UserError
from sharpen.loop import loop
from sharpen.store.store import Store
from sharpen.terminal import terminal

PARTS = 4  # the first attempt ends within one part of the way, the second within two, and so on: so at least two are killed


def undisturbed(name: str) -> None:
    """The fault that is none."""


class Steps(terminal.Quiet):
    """A clock that counts steps."""

    def __init__(self):
        self.done = 0

    def advance(self, n=1, **numbers):
        self.done += n

    def clock(self) -> float:
        return float(self.done)


def attempt(directory: Path, settings: list[str], fault=undisturbed) -> None:
    """Begin the run, or go on with it."""
    recipe = next((s.partition("=")[2] for s in settings if s.startswith("recipe=")), "quickstart")
    commit_s = next((float(s.partition("=")[2]) for s in settings if s.startswith("commit_s=")), 1e9)
    ahead = next((int(s.partition("=")[2]) for s in settings if s.startswith("ahead=")), 0)
    torch.set_num_threads(threads(settings))
    own = [s for s in settings if not s.startswith(("recipe=", "commit_s=", "ahead=", "threads="))]
    tasks = "chain_sum/1-2,spell_backward/1"
    request = loop.Request(recipe, tuple(own), 3, "6steps", None, tasks, directory, commit_s=commit_s, ahead=ahead)
    steps = Steps()
    try:
        Store.open(directory).close()
    except UserError:
        loop.start(request, steps, fault, clock=steps.clock)
    else:
        loop.resume(directory, steps, fault, clock=steps.clock)


def threads(settings: list[str]) -> int:
    return next((int(s.partition("=")[2]) for s in settings if s.startswith("threads=")), 1)


def commits(directory: Path) -> int:
    """How many commits a run has made."""
    try:
        with Store.open(directory) as store:
            return last.n if (last := store.last_commit()) else 0
    except UserError:  # it is not there yet
        return 0


def kill(directory: Path, settings: list[str], case: str, total: int) -> int:
    """End the run where the case says. How often it was killed."""
    point, _, number = case.partition(":")
    left = int(number) - commits(directory)

    def fault(name: str) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            kills.die()

    def go_on(fault=undisturbed) -> None:
        attempt(directory, settings, fault)

    killed = 0
    if point == "events":
        rng = random.Random(int(number))
        while kills.attempt(go_on, kills.at(rng.randint(1, (killed + 1) * total // PARTS))):
            killed += 1
    elif point == "bytes":
        killed += kills.attempt(go_on, kills.at_byte(int(number)))
    else:
        killed += kills.attempt(lambda: go_on(fault))
    return killed


def run_case(directory: Path, settings: list[str], case: str, total: int) -> None:
    for one in case.split("+"):
        print(one, "killed", kill(directory, settings, one, total), flush=True)
    assert not kills.attempt(lambda: attempt(directory, settings))


if __name__ == "__main__":
    root, rest = Path(sys.argv[1]), sys.argv[2:]
    cut = rest.index("--")
    cases, total = rest[cut + 1 :], 0
    if any("events:" in case for case in cases):
        total = kills.events(lambda: attempt(root / "whole", rest[:cut]))
    elif threads(rest[:cut]) > 1:
        assert not kills.attempt(lambda: attempt(root / "whole", rest[:cut]))
    else:
        attempt(root / "whole", rest[:cut])
    for one in cases:
        run_case(root / one.replace(":", "-"), rest[:cut], one, total)
