"""A small comparison, killed and gone on with: python compared_run.py DIRECTORY TASKS DELAY…

DIRECTORY/whole is never disturbed. DIRECTORY/killed gets a SIGKILL after each DELAY of seconds in turn, then comes to its end.
Each attempt is a forked child; one thread each, for threads do not survive a fork.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

if __name__ == "__main__":  # before torch is imported
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

from sharpen.compare import runner
from sharpen.terminal import terminal

DEADLINE = 200.0
SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=6", "warmup_rows=8", "warmup_demos=4", "warmup_lr=0.004"),
    *("prompts=4", "samples=4", "round_steps=2", "validation=4", "test=4", "max_tokens=6", "lr=0.003"),
)
# The second keeps arrays beside its weights; the last measures other weights after the warm-up, and so has one of its own.
CONTENDERS = ("grpo", "rft:lr=0.002:curriculum=pcl", "grpo:average=0.9")
BUDGET = "350tokens"


def plan(tasks: str, contenders=CONTENDERS, seeds=2, budget=BUDGET, jobs=1) -> runner.Plan:
    return runner.plan(contenders, budget, seeds, None, tasks, SETTINGS, jobs, Path())[1]


def main(root: Path, tasks: str, delays: list[float]) -> None:
    asked = plan(tasks)
    runner.compare(root / "whole", asked, terminal.Quiet(), slice_s=0.0)
    for delay in [*delays, None]:
        child = os.fork()
        if child == 0:
            try:
                runner.compare(root / "killed", asked, terminal.Quiet(), slice_s=0.0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        began = time.monotonic()
        while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            passed = time.monotonic() - began
            if passed > (DEADLINE if delay is None else delay):
                os.kill(child, signal.SIGKILL)
            time.sleep(0.005)
        _, status = os.waitpid(child, 0)
        if status not in (0, signal.SIGKILL) or (delay is None and status):
            sys.exit(f"an attempt ended with status {status}")
        print("killed" if status else "finished", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [float(delay) for delay in sys.argv[3:]])
