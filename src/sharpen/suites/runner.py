"""Runs a suite on a model, keeps every item, and says what came of it: one row for each axis and measure.

DIR/items.jsonl holds prompts, seeds, what was said and how it was scored; DIR/suite.json the rows. An axis that is whole in the
directory is not asked again, so an interrupted suite goes on where it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sharpen import loop, models, rollouts
from sharpen.compare import paired
from sharpen.core import Arm, Task, UserError, suggest
from sharpen.hashing import derive
from sharpen.suites import contamination, critique, external, general, insight, planning, reasoning
from sharpen.suites.axis import Axis, Item, means

LONGEST = 256  # tokens of an answer where the model's directory says nothing
N = 32
CONTINUAL = "continual"  # of a run, not of a model: continual.py

SUITES: Mapping[str, tuple[Axis, ...]] = {
    "general": (*general.AXES, *planning.AXES, *reasoning.AXES, *insight.AXES),
    "critique": critique.AXES,
    "planning": planning.AXES,
    "reasoning": reasoning.AXES,
    "insight": insight.AXES,
    "contamination": contamination.AXES,
}


def known() -> dict[str, Axis]:
    """Every axis that ships, by name."""
    return {axis.name: axis for axes in SUITES.values() for axis in axes}


def chosen(suite: str) -> list[tuple[Axis, int | None]]:
    """The axes of a suite by name, of one axis, or of a file; with how many items of each, None where that is not said.

    A file is JSON: a list of names, or of {"axis": NAME, "n": 64} and {"name": NAME, "tasks": SPEC, "n": 64}. UserError.
    """
    if suite in SUITES:
        return [(axis, None) for axis in SUITES[suite]]
    if suite in known():
        return [(known()[suite], None)]
    if not suite.endswith(".json"):
        axes = [name for name in known() if name not in SUITES]
        raise UserError(
            f"--suite {suite}: there is none.{suggest(suite, [*SUITES, CONTINUAL, *axes])} There are the suites "
            f"{', '.join([*SUITES, CONTINUAL])}; the axes {', '.join(axes)}; "
            f"{' and '.join(f'{kind}:TASK' for kind in external.KINDS)}; and a file of JSON that names axes."
        )
    try:
        rows = json.loads(Path(suite).read_text("utf-8"))
        return [read(row) for row in rows]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"--suite {suite} cannot be read: {error}. It is a JSON list of axes.") from error


def read(row: Any) -> tuple[Axis, int | None]:
    """An axis of a file. UserError for an unknown one."""
    if isinstance(row, str):
        row = {"axis": row}
    n = int(row["n"]) if row.get("n") else None
    if "tasks" in row:
        return general.of_source(str(row.get("name") or row["tasks"]), str(row["tasks"])), n
    if "axis" not in row:
        raise UserError(f'a row of a suite needs "axis", or "name" and "tasks": {row!r}')
    name = str(row["axis"])
    if name not in known():
        raise UserError(f"a suite's axis {name!r}: there is none.{suggest(name, known())} There are: {', '.join(known())}.")
    return known()[name], n


def run(
    model_dir: Path,
    suite: str,
    directory: Path,
    n: int | None,
    seed: int,
    progress: Any,
    settings: Sequence[str] = (),
    precision: str = "auto",
    device: str = "auto",
) -> dict[str, Any]:
    """Ask the model everything that is not in the directory yet; then the rows, as JSON."""
    axes = chosen(suite)
    directory.mkdir(parents=True, exist_ok=True)
    asked = {"model": str(model_dir), "suite": suite, "n": n, "seed": seed, "settings": list(settings)}
    before = directory / "asked.json"
    if before.exists() and json.loads(before.read_text("utf-8")) != asked:
        raise UserError(f"{directory} holds another suite's answers. Take another --out.")
    before.write_text(json.dumps(asked, indent=1), encoding="utf-8")
    kept = {path.stem: path for path in directory.glob("*.items.jsonl")}
    speaker: Any = None
    rows = []
    for axis, own in axes:
        if axis.name not in kept:
            speaker = speaker or opened(model_dir, settings, precision, device)
            items = played(speaker, axis, axis.draw(own or n or N, seed), seed, progress)
            keep(directory / f"{axis.name}.items.jsonl", items)
        rows += summed(axis, load(directory / f"{axis.name}.items.jsonl"))
    found = {**asked, "rows": rows}
    (directory / "suite.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def opened(model_dir: Path, settings: Sequence[str], precision: str, device: str) -> tuple[Any, Any]:
    """(policy, how it is asked)."""
    model, tokenizer = models.load_model(model_dir)
    told = loop.telling.of_directory(model_dir, tokenizer, settings)
    if not told.max_tokens:
        told = loop.telling.changed(told, [f"max_tokens={LONGEST}"])
    return models.LocalPolicy(model, tokenizer, precision, device=device), told


def played(speaker: tuple[Any, Any], axis: Axis, tasks: Sequence[Task], seed: int, progress: Any) -> list[Item]:
    """All items of an axis, asked side by side. One that fails costs only itself."""
    policy, told = speaker
    done: dict[int, Item] = {}
    seeds = [derive(seed, "suite", axis.name, i) for i in range(len(tasks))]
    progress.phase(f"suite: {axis.name}", total=len(tasks))

    def complete(i: int, going: Any, returned: Any) -> None:
        said = tuple(turn.text for turn in going.turns)
        if isinstance(returned, Mapping):
            done[i] = Item(axis.name, tasks[i], seeds[i], said, dict(returned))
        else:
            done[i] = Item(axis.name, tasks[i], seeds[i], said, failed=repr(returned)[:500])
        progress.advance(1)

    begun: list[Any] = [axis.play(task) for task in tasks]
    made = [rollouts.asking.asked(one, task, told) for one, task in zip(begun, tasks)]
    ids = [f"suite.{axis.name}.{i:05d}" for i in range(len(tasks))]
    rollouts.perform(policy, made, ids, complete, seed=seed, max_tokens=told.max_tokens, sampling=told.sampling)
    if tasks and all(item.failed for item in done.values()):
        progress.say(f"{axis.name}: nothing came of any item: {done[0].failed}")
    return [done[i] for i in range(len(tasks))]


def keep(path: Path, items: Sequence[Item]) -> None:
    """One line an item, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        for item in items:
            found = {k: None if math.isnan(v) else v for k, v in item.found.items()}
            task = {"prompt": list(item.task.prompt), "answer": item.task.answer, "data": dict(item.task.data)}
            row = {"axis": item.axis, "id": item.task.id, "seed": item.seed, **task, "said": list(item.said), "found": found}
            file.write(json.dumps({**row, "failed": item.failed}, ensure_ascii=False) + "\n")
    part.replace(path)


def load(path: Path) -> list[Item]:
    """What `keep` wrote. UserError for what cannot be read."""
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return [
            Item(
                row["axis"],
                Task(tuple(row["prompt"]), row["answer"], row["axis"], 1, data=row["data"]),
                row["seed"],
                tuple(row["said"]),
                {k: math.nan if v is None else float(v) for k, v in row["found"].items()},
                row["failed"],
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read as a suite's answers: {error!r}. Take another --out.") from error


def summed(axis: Axis, items: Sequence[Item]) -> list[dict[str, Any]]:
    """The rows of an axis: measures with intervals, and what its summary says."""
    lost = sum(bool(item.failed) for item in items)
    rows: list[dict[str, Any]] = [
        {"axis": axis.name, "measure": name, "value": e.value, "ci95": [e.low, e.high], "n": e.n}
        for name, e in means(items).items()
    ]
    for name, value in axis.summary(items).items():
        if math.isfinite(value):
            rows.append({"axis": axis.name, "measure": name, "value": value, "ci95": None, "n": len(items)})
    if lost:
        rows.append({"axis": axis.name, "measure": "failed", "value": lost / len(items), "ci95": None, "n": len(items)})
    return rows


def compared(before: Path, after: Path) -> list[dict[str, Any]]:
    """after - before on every axis that both directories have: of its main measure, item by item, with 95 % intervals. Where
    nothing was kept item by item, as of runs over task sets: of every measure, without.

    UserError where the two were asked other tasks.
    """
    found: list[dict[str, Any]] = []
    for path in sorted(after.glob("*.items.jsonl")):
        other = before / path.name
        if not other.exists():
            continue
        first, second = load(other), load(path)
        if [i.task.id for i in first] != [i.task.id for i in second]:
            raise UserError(f"{path.name}: the two suites have other tasks. Take the same --suite, -n and --seed.")
        main = known()[first[0].axis].main if first and first[0].axis in known() else "accuracy"
        pair = [{Arm(main, 1): np.array([i.found.get(main, math.nan) for i in own])} for own in (first, second)]
        change = paired.difference([pair[0]], [pair[1]])
        if change is not None:
            ci = [change.low, change.high]
            found.append(
                {"axis": first[0].axis, "measure": main, "change": change.value, "ci95": ci, "p": change.p, "n": change.n}
            )
    return found or of_rows(before, after)


def of_rows(before: Path, after: Path) -> list[dict[str, Any]]:
    """after - before of every measure that both suites have."""
    first, second = (json.loads((place / "suite.json").read_text("utf-8"))["rows"] for place in (before, after))
    known = {(row["axis"], row["measure"]): row["value"] for row in first}
    return [
        {**row, "change": row["value"] - known[row["axis"], row["measure"]], "ci95": None}
        for row in second
        if (row["axis"], row["measure"]) in known
    ]


def show(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows for a table."""
    shown = []
    for row in rows:
        ci = f"{row['ci95'][0]:.3f} to {row['ci95'][1]:.3f}" if row["ci95"] else ""
        shown.append((row["axis"], row["measure"], f"{row['value']:.3f}", ci, row["n"]))
    return shown
