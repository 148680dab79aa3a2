"""What a verdict costs: called here, or in verifier processes. Prints one JSON object; microseconds for each verdict.

    python bench/judging.py [--rollouts N] [--workers N]

inline        `verify.judge`, one after another
instant       `Judges` with a verifier of `verify.INSTANT`: called at once, in this process
processes     `Judges` with the same verifier, as if it were a user's own; cpu_here is this process's share of that
start_ms      until the first verdict of a new process
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from sharpen.core import Rollout, Task, Verdict
from sharpen.rollouts import rollout
from sharpen.verify import verdicts
from sharpen.verify.judging import Judges


def own(task: Task, response: str) -> Verdict:
    """What a user's own function would be: the pool cannot know that it is quick."""
    return verdicts.number(task, response)


def rollouts(n: int) -> list[Rollout]:
    none = np.zeros(0)
    arrays = none.astype(np.int32), none > 0, none.astype(np.float32)
    made = []
    for i in range(n):
        task = Task(({"role": "user", "content": f"{i // 8} + 1 ="},), str(i // 8 + 1), "sum", 1, verifier="number")
        text = f"{i // 8} + 1 is {i // 8 + 1}<answer>{i // 8 + i % 2}</answer>"
        made.append(Rollout(task, *arrays, (text,), "end", 0, i, f"{i:06d}"))
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    made = rollouts(options.rollouts)
    groups = [i // 8 for i in range(len(made))]
    figures: dict[str, float] = {"rollouts": len(made), "workers": options.workers}

    began = time.perf_counter()
    expected = rollout.judge(made, groups, verdicts.verify)
    figures["inline"] = time.perf_counter() - began
    with Judges(verdicts.verify) as judges:
        began = time.perf_counter()
        assert judges.judge(made, groups) == expected
        figures["instant"] = time.perf_counter() - began
    with Judges(own, workers=options.workers) as judges:
        began = time.perf_counter()
        judges.judge(made[:1], groups[:1])
        start = time.perf_counter() - began
        began, cpu = time.perf_counter(), time.process_time()
        assert judges.judge(made, groups) == expected
        figures["processes"], figures["cpu_here"] = time.perf_counter() - began, time.process_time() - cpu
    for name in ("inline", "instant", "processes", "cpu_here"):
        figures[name] = round(1e6 * figures[name] / len(made), 1)
    print(json.dumps(figures | {"start_ms": round(1e3 * start)}))


if __name__ == "__main__":
    main()
