"""A small comparison, killed and gone on with: python compared_run.py DIRECTORY TASKS SEED [TOTAL]

DIRECTORY/whole is never disturbed. DIRECTORY/killed is ended in the midst of a write of weights, and then at events drawn from
the seed, later each time, until an attempt comes to its end. Each attempt is a forked child of the process that made the
undisturbed one, so that everything is imported once; one thread each, for threads do not survive a fork.

With TOTAL, `side_by_side`: smaller, its trials go on side by side, and it is killed once, while processes are at work for it.
"""

from __future__ import annotations

import os
import random
import sys
from dataclasses import replace
from pathlib import Path

if __name__ == "__main__":  # before torch is imported
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import kills
from sharpen.compare import runner, workers
from sharpen.terminal import terminal

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=6", "warmup_rows=8", "warmup_demos=4", "warmup_lr=0.004"),
    *("prompts=4", "samples=4", "round_steps=2", "validation=4", "test=4", "max_tokens=6", "lr=0.003"),
)
# The second keeps arrays beside its weights; the last measures other weights after the warm-up, and so has one of its own.
CONTENDERS = ("grpo", "rft:lr=0.002:curriculum=pcl", "grpo:average=0.9")
BUDGET = "350tokens"
PARTS = 5  # one attempt gets no further than one part of the way, the next than two, the next than three: all of them die


def plan(tasks: str, contenders=CONTENDERS, seeds=2, budget=BUDGET, jobs=1) -> runner.Plan:
    return runner.plan(contenders, budget, seeds, None, tasks, SETTINGS, jobs, Path())[1]


def main(root: Path, tasks: str, seed: int) -> None:
    asked, rng = plan(tasks), random.Random(seed)

    def go_on(name: str) -> None:
        runner.compare(root / name, asked, terminal.Quiet(), slice_s=0.0)

    total = kills.events(lambda: go_on("whole"))
    arm, killed = kills.at_byte(600_000), 0
    while kills.attempt(lambda: go_on("killed"), arm):
        killed += 1
        arm = kills.at(rng.randint(1, killed * total // PARTS))
    print(killed, flush=True)


def side_by_side(root: Path, tasks: str, seed: int, total: int) -> None:
    """By two processes: without a total undisturbed, and prints how many events there were; else killed at one of as many."""
    asked, started = replace(plan(tasks, ("grpo", "rloo"), 1, "4steps", 2), threads=1), workers.workers.__wrapped__

    def go_on(name: str) -> None:
        runner.compare(root / name, asked, terminal.Quiet(), slice_s=0.0)

    if not total:
        print(kills.events(lambda: go_on("whole"), started), flush=True)
        return
    arm = kills.at(random.Random(seed).randint(1, total // 2), after=started)
    print(int(kills.attempt(lambda: go_on("killed"), arm)), flush=True)  # a child would write it again
    assert not kills.attempt(lambda: go_on("killed"))


if __name__ == "__main__":
    (side_by_side if sys.argv[4:] else main)(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
