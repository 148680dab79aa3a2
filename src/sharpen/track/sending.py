"""What the process of one tracker does: `python -m sharpen.track.sending RUN NAME`, started by processes.py.

1. It reads what the run has committed, and so never what a killed run has to do again. How far it is stands in
   RUN/track/NAME.json, so a later process goes on from there, in the same run of the tracker.
2. It ends when its standard input does: then it sends the rest, with the report, and says that the run is over.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import select
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sharpen.store import Store
from sharpen.track.tracker import Tracked, Tracker

EVERY = 2.0  # seconds between two looks
STEPS = 500  # sent before it is written down how far
SAMPLES = 24  # of each evaluation
COLUMNS = ("task", "question", "right answer", "response", "outcome", "reward", "feedback")
EVALUATED = """
SELECT max(e.rowid) AS last, e.round, e.purpose, avg(1.0 * e.correct / e.n) AS accuracy, sum(e.n) AS n,
    (SELECT r.step FROM rollouts r WHERE r.purpose = e.purpose AND r.round = e.round LIMIT 1) AS step
FROM evaluations e WHERE e.rowid > ? AND e.n > 0 GROUP BY e.round, e.purpose ORDER BY last"""
ARMS = "SELECT family, level, n, correct, readable FROM evaluations WHERE round = ? AND purpose = ? AND n > 0"


def main(directory: Path, name: str) -> None:
    os.nice(10)  # the run goes first
    over = False
    while not (directory / "run.db").is_file():
        if over:
            return  # it never began
        over = ended()
    with Store.open(directory, write=False) as store:
        tracker, far = begin(store, name)
        while not over:
            send(store, tracker, far, name)
            over = ended()
        send(store, tracker, far, name)
        if (page := directory / "report.html").is_file():
            tracker.artefact(page)
        tracker.finish()


def ended() -> bool:
    """Wait a little; whether the run is over."""
    ready, _, _ = select.select([sys.stdin], [], [], EVERY)
    return bool(ready) and not sys.stdin.read(1)


def begin(store: Store, name: str) -> tuple[Tracker, dict[str, Any]]:
    """The tracker, begun or gone on with, and how far it is."""
    path = place(store.directory, name)
    far: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {"id": "", "step": -1, "evaluation": 0}
    meta = store.meta()
    asked = meta.get("request", {})
    config: dict[str, Any] = {key: meta[key] for key in ("recipe", "seed", "student") if key in meta}
    config |= {key: asked[key] for key in ("model", "tasks", "budget") if asked.get(key)}
    config |= dict(text.partition("=")[::2] for text in asked.get("settings", ()))
    config |= {f"version.{key}": value for key, value in meta.get("versions", {}).items()}
    where = store.directory.resolve()
    tracked = Tracked(where.name, where, config, str(far["id"]), int(far["step"]) + 1)
    module, _, function = name.rpartition(":")
    made = importlib.import_module(module or f"sharpen.track.to_{name}")
    tracker: Tracker = getattr(made, function if module else "begin")(tracked)
    far["id"] = tracker.id
    note(path, far)
    return tracker, far


def send(store: Store, tracker: Tracker, far: dict[str, Any], name: str) -> None:
    """Everything that is committed and was not sent. Evaluations of a step's weights go before the step."""
    path = place(store.directory, name)
    for row in store.rows(EVALUATED, (far["evaluation"],)):
        step = far["step"] + 1 if row["step"] is None else row["step"]  # none: taken over from an earlier round
        steps(store, tracker, far, step, path)
        tracker.metrics(step, evaluated(store, row))
        shown = store.read_rollouts(row["purpose"], round=row["round"], limit=SAMPLES)
        tracker.table(step, f"{row['purpose']}/samples", COLUMNS, [sample(s) for s in shown])
        far["evaluation"] = row["last"]
        note(path, far)
    steps(store, tracker, far, 2**62, path)


def steps(store: Store, tracker: Tracker, far: dict[str, Any], end: int, path: Path) -> None:
    """Steps before `end` that were not sent."""
    sql = "SELECT step, phase, round, stats FROM steps WHERE step > ? AND step < ? ORDER BY step LIMIT ?"
    while rows := store.rows(sql, (far["step"], end, STEPS)):
        for row in rows:
            told = {"round": row["round"], **json.loads(row["stats"])}
            tracker.metrics(row["step"], {f"{row['phase']}/{key}": value for key, value in numbers(told).items()})
        far["step"] = rows[-1]["step"]
        note(path, far)


def numbers(told: Mapping[str, Any]) -> dict[str, float]:
    """What of it can be drawn."""
    plain = {key: float(value) for key, value in told.items() if isinstance(value, int | float)}
    return {key: value for key, value in plain.items() if math.isfinite(value)}


def evaluated(store: Store, row: Any) -> dict[str, float]:
    """Accuracy (mean over arms, as in the report), of each arm, and the share of answers that could be read."""
    arms = store.rows(ARMS, (row["round"], row["purpose"]))
    found = {"accuracy": row["accuracy"], "tasks": float(row["n"]), "round": float(row["round"])}
    found |= {f"arm/{arm['family']}/{arm['level']}": arm["correct"] / arm["n"] for arm in arms}
    if all(arm["readable"] is not None for arm in arms):
        found["readable"] = sum(arm["readable"] for arm in arms) / row["n"]
    return {f"{row['purpose']}/{key}": value for key, value in found.items()}


def sample(judged: Any) -> Sequence[Any]:
    task, verdict = judged.rollout.task, judged.verdict
    question = task.prompt[-1]["content"] if task.prompt else ""
    answer = "" if task.answer is None else str(task.answer)
    said = (f"{task.family}/{task.level}", str(question), answer, judged.rollout.response)
    return (*said, verdict.outcome, verdict.reward, verdict.feedback)


def place(directory: Path, name: str) -> Path:
    return directory / "track" / f"{name.replace(':', '.')}.json"


def note(path: Path, far: Mapping[str, Any]) -> None:
    """Write down how far it is, in one piece."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(far), "utf-8")
    new.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
