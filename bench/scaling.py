"""Does cost grow in proportion? python bench/scaling.py [--save]

rows    one step of the benchmark's student at 64, 256 and 1,024 completions of one length: time in proportion is 1, and at most
        1.15 is wanted
store   a run of the default recipe with a scripted model, which costs next to nothing, so that what is timed is the loop and
        its record: a round when the store holds ten times as many rollouts, over one when it holds few; at most 1.05 is wanted
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import common
from common import LR, Shape
from contenders import ask, roll_out, started, tableau, tasks

ROWS = (64, 256, 1024)
REPEATS = 3
ROUNDS = (8, 80)  # rounds behind which the store is called small, and ten times as large
WINDOW = 8  # rounds that are timed after each


def by_rows(connection: Connection, shape: Shape, model: Path) -> None:
    """The work of a process of `contenders.started`: sends {rows: [seconds of generating, of learning]}."""
    from sharpen.data import make_batch
    from sharpen.models import policy

    local = policy.LocalPolicy(*policy.load_model(model))
    found = {}
    for rows in ROWS:
        part = replace(shape, prompts=rows // shape.samples)
        chosen = tasks(part, REPEATS + 1)
        taken: list[tuple[float, float]] = []
        for step in range(REPEATS + 1):
            start = time.perf_counter()
            now = chosen[step * part.prompts : (step + 1) * part.prompts]
            samples, (generated, judged) = roll_out(local, now, part, step)
            local.update(make_batch(samples), tableau(), LR)
            taken.append((generated - start, time.perf_counter() - judged))
        found[rows] = [statistics.median(times) for times in zip(*taken[1:], strict=True)]
    connection.send(found)


def by_store(connection: Connection, shape: Shape, model: Path) -> None:
    """The work of a process of `contenders.started`: sends {rollouts in the store: median seconds of a round}."""
    from sharpen.loop import loop
    from sharpen.models.scripted import ScriptedPolicy
    from sharpen.recipes import catalog
    from sharpen.store.store import Store
    from sharpen.terminal.terminal import Quiet

    ends: list[float] = []
    answers: dict[str, str] = {}
    turn = itertools.count()

    class Watching(Quiet):
        def advance(self, n: int = 1, **numbers: float | None) -> None:
            if n == 0:  # a round was closed
                ends.append(time.perf_counter())

    settings = ["warmup_steps=2", "round_steps=5", "validation=2", "test=1"]
    recipe = catalog.build("quickstart", settings, budget=f"{5 * (ROUNDS[-1] + WINDOW + 1)}steps")
    source = recipe.tasks()

    def draw(*where: Any) -> Any:
        task = source.draw(*where)
        answers[task.prompt[-1]["content"]] = task.answer or ""
        return task

    def reply(messages: Sequence[Any]) -> str:
        question = messages[-1]["content"]
        return answers[question] if next(turn) % 2 else "wrong"  # every group has variance

    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "run", {}) as store:
        loop.run(store, recipe, 0, ScriptedPolicy(reply), replace(source, draw=draw), Watching(), time.monotonic())
    seconds = [after - before for before, after in zip(ends, ends[1:])]
    each = 5 * recipe.prompts * recipe.samples
    connection.send({n * each: statistics.median(seconds[n : n + WINDOW]) for n in ROUNDS})


def once(work: Any, shape: Shape, model: Path) -> dict[int, Any]:
    process, connection = started(work, shape, model)
    try:
        return ask(connection)
    finally:
        process.join(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--save", action="store_true", help="write bench/results/DATE-COMMIT.json")
    a = parser.parse_args()
    common.pin(a.threads)
    shape = Shape(tokens=a.tokens, threads=a.threads)
    with tempfile.TemporaryDirectory() as folder:
        common.build_model(Path(folder), ends=False)
        rows = once(by_rows, shape, Path(folder))
        store = once(by_store, shape, Path(folder))
    seconds = {n: sum(times) for n, times in rows.items()}
    small, large = store.values()
    figures = {
        "seconds_by_rows": rows,
        "over_linear": seconds[ROWS[-1]] / seconds[ROWS[0]] / (ROWS[-1] / ROWS[0]),
        "seconds_by_rollouts_in_store": store,
        "over_constant": large / small,
    }
    print(json.dumps(figures))
    if earlier := common.previous("scaling", a.threads):
        lines = common.changes(earlier[1], figures, ("over_linear", "over_constant"))
        print(f"against {earlier[0]}:", *lines, sep="\n  ", file=sys.stderr)
    if a.save:
        print(f"written: {common.save('scaling', figures, a.threads)}", file=sys.stderr)


if __name__ == "__main__":
    main()
