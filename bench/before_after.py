"""What a change costs a step: the loop of this tree beside that of an earlier revision, a step of each in turn.

    python bench/before_after.py REVISION [--recipe quickstart] [--steps 80] [--set KEY=VALUE]... [--ours]

Processor seconds of one thread are compared, pair by pair, so that a busy machine disturbs both alike; the ratio is that of the
medians, its interval from pairs drawn again. The first pairs are left out: caches are cold. What is said of the whole step is
said of each of its phases too, and of the seconds in the system (pages that are mapped and cleared), so that a regression shows
where it is. With `--set lr=1e-30` both sides make the same tokens. With `--ours` the model is left out: every step has the
tasks, the tokens and the measurements of the first one again, so that what is left is the loop's own Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
COLD = 5  # steps at the beginning that do not count
LEAST = 1e-6  # seconds that count as some
DEADLINE = 600.0  # seconds for one step, or for the warm-up

CHILD = """
import json, os, sys, time
from contextlib import contextmanager
from pathlib import Path
from sharpen import loop
from sharpen.loop import session
from sharpen.terminal import Quiet

spent, plain = {}, session.Run.timed

@contextmanager
def timed(this, phase, step):
    since = time.process_time()
    with plain(this, phase, step):
        yield
    spent[phase] = spent.get(phase, 0.0) + time.process_time() - since

session.Run.timed = timed

class InTurn(Quiet):
    looping, since = False, (0.0, 0.0)
    def begin(self):
        spent.clear()
        self.since = time.process_time(), os.times().system
    def phase(self, name, *given, **named):
        self.looping = name != "warm-up" and not name.startswith("evaluate")
        if self.looping:
            self.begin()
    def advance(self, n, **named):
        if self.looping and n:  # not for what moves within a step
            whole, system = time.process_time() - self.since[0], os.times().system - self.since[1]
            print(json.dumps(dict(step=whole, system=system, **spent)), flush=True)
            if not sys.stdin.readline():
                sys.exit()
            self.begin()

show = InTurn()
recipe, budget, directory, ours, *settings = sys.argv[1:]
if ours:
    exec(ours)
loop.start(loop.Request(recipe, tuple(settings), 0, budget, None, None, Path(directory)), show)
"""

# The model's part of a step is what the first step saw. Names that both trees have.
OURS = """
from sharpen.loop import sampling_step
from sharpen.models import policy

seen = {}

def again(key, function):
    def replayed(*given, **named):
        if not show.looping:
            return function(*given, **named)
        if key not in seen:
            seen[key] = function(*given, **named)
        return seen[key]
    return replayed

def driven(policy, rollout, tasks, *given, plain=sampling_step.drive, **named):
    return plain(policy, rollout, seen.setdefault("tasks", tasks), *given, **named)

def generated(model, requests, end, pad, stops, done, plain=policy.generate.generate, **named):
    if not show.looping:
        return plain(model, requests, end, pad, stops, done, **named)
    if "made" not in seen:
        made = {}
        plain(model, requests, end, pad, stops, lambda i, one: made.update({i: one}), **named)
        seen["made"] = made
    for i, one in seen["made"].items():
        done(i, one)

sampling_step.drive = driven
policy.generate.generate = generated
for name in ("look", "accumulate", "step"):
    setattr(policy.LocalPolicy, name, again(name, getattr(policy.LocalPolicy, name)))
"""


def started(tree: Path, recipe: str, steps: int, directory: Path, ours: bool, settings: list[str]) -> subprocess.Popen:
    """A process that makes the steps of a run with the code in `tree`; it waits before each but the first."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, recipe, f"{steps}steps", str(directory), OURS if ours else "", *settings],
        env={**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def step(process: subprocess.Popen, first: bool = False) -> dict[str, float]:
    """Processor seconds of its next step: of all of it, of the system's part, of each phase."""
    if not first:
        process.stdin.write("\n")
        process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise SystemExit("a process ended before its last step; its message is above")
    return json.loads(line)


def pair(both: list[subprocess.Popen], n: int) -> list[dict[str, float]]:
    """Seconds of the n-th step before and after. Each goes first as often: the second finds warmer caches."""
    order = (0, 1) if n % 2 == 0 else (1, 0)
    seconds = {i: step(both[i], first=n == 0) for i in order}
    return [seconds[0], seconds[1]]


def compared(before: np.ndarray, after: np.ndarray, draws: int = 2000) -> dict:
    """Medians in seconds, and the ratio after / before with its 95 % interval over pairs."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(before), (draws, len(before)))
    ratios = np.median(after[drawn], axis=1) / np.maximum(np.median(before[drawn], axis=1), LEAST)
    low, high = np.quantile(ratios, [0.025, 0.975])
    medians = float(np.median(before)), float(np.median(after))
    return dict(
        before=medians[0],
        after=medians[1],
        ratio=medians[1] / max(medians[0], LEAST),
        low=float(low),
        high=float(high),
        pairs=len(before),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision")
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--ours", action="store_true")
    asked = parser.parse_args()
    usual = ["precision=fp32", "warmup_steps=20", "guard=always", f"round_steps={asked.steps}", "validation=4", "test=4"]
    given = {setting.partition("=")[0] for setting in asked.settings}
    settings = [*asked.settings, *(setting for setting in usual if setting.partition("=")[0] not in given)]
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "earlier"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", earlier, asked.revision], check=True)
        try:
            both = [
                started(tree, asked.recipe, asked.steps, Path(folder) / name, asked.ours, settings)
                for tree, name in ((earlier, "before"), (ROOT, "after"))
            ]
            rows = [pair(both, n) for n in range(asked.steps)][COLD:]
            for process in both:
                process.communicate(timeout=DEADLINE)
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", earlier], check=True)
    names = sorted({name for row in rows for seconds in row for name in seconds})
    of = {name: np.array([[seconds.get(name, 0.0) for seconds in row] for row in rows]).T for name in names}
    whole, *parts = ({"part": name, **compared(*of[name])} for name in ("step", *(name for name in names if name != "step")))
    print(json.dumps(dict(revision=asked.revision, recipe=asked.recipe, **whole), indent=1))
    for part in parts:
        print(json.dumps(part))


if __name__ == "__main__":
    main()
