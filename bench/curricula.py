"""What a curriculum costs: python bench/curricula.py [--tasks N …] [--share [RECIPE …]]

1. The time of one decision of every curriculum over single tasks, on pools of --tasks tasks with a history, and the memory of
   such a pool. To be met: 50 ms over 10^5 tasks, 0.5 s over 10^6.
2. The time of one decision of every curriculum over arms, on 100 arms with full histories.
3. With --share: the share of its steps that each recipe of the folder spends on choosing, in a run of the default size on this
   machine, of --steps steps (6: a minute or two for all; the student knows next to nothing, so the doctor ends a run that is
   much longer than 38). To be met: 1 %.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.core import HISTORY, Arm, ArmStats, Evaluation
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.testbed import Bandit
from sharpen.recipe import asked_for, call
from sharpen.recipes import catalog

PROMPTS, SAMPLES, ARMS, ROUNDS = 40, 4, 100, 20


def offers(tasks: int, arms: int, seed: int = 0) -> tuple[dict[Arm, list[ArmStats]], dict[str, Any]]:
    """A history and everything a curriculum may ask for, of a pool half of which was tried."""
    rng = np.random.default_rng(seed)
    world = Bandit(tuple(np.linspace(-2, 4, arms)), tasks=max(tasks // arms, 1))
    history = {a: [ArmStats(t, a, 16, int(rng.integers(17)), 16 * rng.random(), 0) for t in range(HISTORY)] for a in world.arms}
    found = Attempts(world.source, seed, 1)
    n = len(found)
    tried = rng.random(n) < 0.5
    found.visits[tried] = 1
    found.tries[tried] = 4
    found.right[tried] = rng.integers(0, 5, int(tried.sum()))
    found.faded[:] = found.tries, found.right
    found.first[tried] = found.latest[tried] = found.right[tried] / 4
    found.seen[tried] = 1
    found.taken, found.newest, found.recent = int(tried.sum()), 1, np.flatnonzero(tried)[:PROMPTS].tolist()
    seen = [Evaluation({a: tuple((rng.random(40) < 0.5).tolist()) for a in world.arms}) for _ in range(ROUNDS)]
    totals = dict.fromkeys(world.arms, 1000)
    return history, {"progress": 0.4, "totals": totals, "evaluations": seen, "attempts": found, "kept": {}}


def decision(name: str, history: dict[Arm, list[ArmStats]], offered: dict[str, Any], repeats: int = 7) -> float:
    """Median seconds of one decision; the first, which may build what is kept, is not counted."""
    function, arms, times = catalog.choices("curriculum")[name], sorted(history), []
    for i in range(repeats + 1):
        offered["attempts"].taken += PROMPTS if name == "pcl" and i else 0  # a step's results to learn from
        start = time.perf_counter()
        call(function, history, arms, PROMPTS, SAMPLES, np.random.default_rng(i), **offered)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def share(name: str, directory: Path, steps: int) -> tuple[float, float]:
    """(seconds of choosing in a step, share of the step), the first step left out."""
    from sharpen.loop import loop
    from sharpen.store.store import Store
    from sharpen.terminal import terminal

    settings = ("warmup_steps=5", "validation=2", "test=2", "round_steps=100")
    loop.start(loop.Request(name, settings, 0, f"{steps}steps", None, None, directory), terminal.Quiet())
    with Store.open(directory) as store:
        rows = store.rows("SELECT phase, sum(seconds) FROM timings WHERE step > 5 GROUP BY phase")
    spent = {phase: seconds for phase, seconds in rows if phase in ("curriculum", "generate", "verify", "learn", "store")}
    return spent["curriculum"] / (steps - 1), spent["curriculum"] / sum(spent.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[10**5, 10**6])
    parser.add_argument("--share", nargs="*", metavar="RECIPE", help="of all curricula, or of these")
    parser.add_argument("--steps", type=int, default=6)
    given = parser.parse_args()
    names = catalog.choices("curriculum")
    for tasks in given.tasks:
        history, offered = offers(tasks, ARMS)
        print(f"{len(offered['attempts']):,} tasks, {offered['attempts'].nbytes / len(offered['attempts']):.0f} bytes a task")
        for name in (n for n, f in names.items() if "attempts" in asked_for(f)):
            print(f"  {name:<18} {1e3 * decision(name, history, offered):8.2f} ms", flush=True)
            offered["kept"].clear()
    history, offered = offers(10**4, ARMS)
    print(f"{ARMS} arms")
    for name in (n for n, f in names.items() if "attempts" not in asked_for(f)):
        print(f"  {name:<18} {1e3 * decision(name, history, offered):8.2f} ms", flush=True)
        offered["kept"].clear()
    if given.share is not None:
        print("share of a step")
        for name in given.share or [info.name for info in catalog.recipes() if info.family == "curriculum"]:
            with tempfile.TemporaryDirectory() as directory:
                seconds, part = share(name, Path(directory) / "run", given.steps)
            print(f"  {name:<18} {1e3 * seconds:8.2f} ms {part:7.2%}", flush=True)


if __name__ == "__main__":
    main()
