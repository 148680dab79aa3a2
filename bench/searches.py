"""Monte Carlo tree search against best-of-n at equal tokens, on the step chain, with values that know the right answer.

    python bench/searches.py MODEL_DIR

A chain starts at a number and counts modulo 10; the answer is every number in between, then the last one. Three values:
`steps`, which checks each number as it is written; `playouts`, which judges one continuation to the end; and for best-of-n the
verdict on the whole answer. Each stops at its first right answer, so what is compared is what it takes to find one. All of
them are upper bounds: they know what is right.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from sharpen import models
from sharpen.core import PLAIN, Ledger, Task
from sharpen.hashing import derive
from sharpen.rollouts import drive, search, trees, values
from sharpen.verify import verify

TASKS, LEVELS = 25, (2, 3, 4, 5)


def chain(level: int, index: int) -> Task:
    rng = Random(derive(0, "bench", level, index))
    states, changes = [rng.randrange(10)], [rng.choice((-1, 1)) * rng.randint(1, 9) for _ in range(level + 1)]
    for change in changes:
        states.append((states[-1] + change) % 10)
    asked = f"Start at {states[0]}, count mod 10: {' '.join(f'{c:+}' for c in changes)}"
    return Task(
        ({"role": "user", "content": asked},), str(states[-1]), "step_chain", level, "test", "number", {"states": states[1:]}
    )


def checked(task: Task, text: str) -> float:
    """1 while every number so far is right; the last is that of the answer."""
    said = [int(n) for n in re.findall(r"\d+", text)]
    wanted = [*task.data["states"], task.data["states"][-1]]
    return float(said == wanted[: len(said)])


def measured(student: models.LocalPolicy, rollout, tasks: list[Task]) -> tuple[float, Ledger]:
    made = drive(student, rollout, tasks, [task.id for task in tasks], seed=0, max_tokens=24, sampling=PLAIN)
    right = [verify(rollout.task, rollout.response).correct for rollout in made]
    return float(np.mean(right)), sum((rollout.spent for rollout in made), Ledger())


def main(directory: str) -> None:
    student = models.LocalPolicy(*models.load_model(Path(directory)), precision="fp32", device="cpu")
    tasks = [chain(level, i) for level in LEVELS for i in range(TASKS)]
    steps = dict(branch=2, step=3, ends=(" ",), steps=10, enough=1.0)
    by_steps, best_of = partial(values.by_steps, check=checked), partial(search.best_of, at_once=1, enough=1.0)
    ways = {
        "best_of": [(n, partial(best_of, n=n, value=values.by_verifier)) for n in (1, 2, 4, 8, 16)],
        "mcts, steps": [(n, partial(search.tree, scored=n, value=by_steps, **steps)) for n in (8, 12, 16, 24, 48)],
        "mcts, steps, c=0.1": [
            (n, partial(search.tree, scored=n, value=by_steps, select=partial(trees.uct, c=0.1), **steps)) for n in (8, 16, 32)
        ],
        "mcts, playouts": [(n, partial(search.tree, scored=n, value=values.by_playouts, **steps)) for n in (4, 8, 16, 32)],
    }
    print("search\tn\tright\ttokens drawn\ttokens read\tcalls")
    for name, sizes in ways.items():
        for n, rollout in sizes:
            right, spent = measured(student, rollout, tasks)
            k = len(tasks)
            print(f"{name}\t{n}\t{right:.1%}\t{spent.sampled / k:.1f}\t{spent.read / k:.0f}\t{spent.calls / k:.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
