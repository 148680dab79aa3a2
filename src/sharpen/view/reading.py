"""What a page shows of a run as it goes: where it stands, how good it is, what it costs, what the doctor found.

Every sum is SQLite's, and no query here walks the table of rollouts: a look costs O(steps + arms x rounds), of at most STEPS
steps, whatever a run has sampled.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharpen.core import Arm, UserError
from sharpen.estimate import Estimate, change, mean, share
from sharpen.guard import Budget, parse_budget
from sharpen.report import charts, evidence, page
from sharpen.store import Store, asked
from sharpen.terminal import noted

STEPS = 3000  # that are read; of more, every so many
LATEST = 10  # steps whose mean is "now"
POINTS = 60  # of a small line
BEFORE = ("set-up", "baseline")  # phases that no budget counts
WORK = ("curriculum", "generate", "verify", "learn", "grow")  # a method's own work
STALE = 90.0  # seconds after which a note of the process says nothing about now


@dataclass(frozen=True)
class Live:
    """What the process noted last, whether it is there, and since when: all that changes between two commits."""

    pid: int | None
    note: Mapping[str, Any] | None
    pausing: bool
    since: float = 0.0


@dataclass(frozen=True)
class Look:
    """A run as of its last commit.

    budget   what it may spend, and `used` how much of that it has; None where the recipe has no budget that can be read
    pace     how much of the budget it uses in a second of its work
    rounds   decided or evaluated; `accuracy` is of the weights that were kept last, of round `kept`: those that are exported;
             `start` of those before the loop, `gain` between the two on the same tasks. Where a guard chooses by half of the
             tasks, all of this is of the other half
    skills   arm -> (accuracy, how the same tasks changed since the start), of the same weights
    steps    what learning steps measured, thinned; `number` reads them
    speed    tokens sampled in a second of a method's own work, lately
    """

    name: str
    meta: Mapping[str, Any]
    phase: str
    step: int
    finished: bool
    at: float
    budget: Budget | None
    used: float
    pace: float
    rounds: Sequence[evidence.Round]
    start: Estimate | None
    accuracy: Estimate | None
    gain: Estimate | None
    kept: int | None
    skills: Mapping[Arm, tuple[Estimate | None, Estimate | None]]
    chosen: Mapping[tuple[int, Arm], tuple[int, int]]
    steps: Sequence[Mapping[str, Any]]
    speed: float | None
    diagnoses: Sequence[Mapping[str, Any]]
    disputes: int
    weaknesses: Sequence[Mapping[str, Any]]

    def number(self, key: str) -> tuple[float, charts.Markup] | None:
        """The latest of a step's numbers and its line; None where no step has it."""
        known = [(float(s["step"]), float(s[key])) for s in self.steps if is_number(s.get(key))]
        if not known:
            return None
        latest = [y for _, y in known[-LATEST:]]
        return sum(latest) / len(latest), charts.spark(thinned(known, POINTS))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Means of neighbours, so that at most so many are left."""
    width = math.ceil(len(points) / most) or 1
    groups = [points[i : i + width] for i in range(0, len(points), width)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def live(directory: Path, now: float) -> Live:
    """Reads three small files, and no store."""
    pid, note = asked.holder(directory), noted(directory)
    fresh = pid is not None and note is not None and note["pid"] == pid and abs(now - note["at"]) < STALE
    since = 0.0
    with suppress(OSError):
        since = (directory / "run.lock").stat().st_mtime  # written as the lock is taken
    return Live(pid, note if fresh else None, pid is not None and bool(asked.listed(directory, "pause")), since)


def look(directory: Path) -> Look:
    """Read a run. Raises UserError where it is none, is damaged, or of another version."""
    with Store.open(directory) as store:
        meta, last = store.meta(), store.last_commit()
        steps = latest_steps(store)
        found = evidence.rounds(store)
        kept = [r.number for r in found if r.decision and r.decision.accepted]
        first, newest = (kept[0], kept[-1]) if kept else (None, None)
        own = skills(store, first, newest, evidence.split(r.decision for r in found if r.decision))
        budget, spent, pace = budgeted(store, meta, last.step if last else 0)
        open_ = "SELECT count(*) FROM disputes d WHERE NOT EXISTS (SELECT 1 FROM asked a WHERE a.id = 'dispute-' || d.task)"
        return Look(
            name=directory.name if directory.name != "latest" else directory.resolve().name,
            meta=meta,
            phase=last.phase if last else "set-up",
            step=last.step if last else 0,
            finished=bool(last and last.finished),
            at=written(directory),
            budget=budget,
            used=spent,
            pace=pace,
            rounds=found,
            start=next((r.accuracy for r in found if r.number == first), None),
            accuracy=next((r.accuracy for r in found if r.number == newest), None),
            gain=mean([e for _, e in own.values()]) if first != newest else None,
            kept=newest,
            skills=own,
            chosen=evidence.chosen(store.rows),
            steps=[s for s in steps if s["phase"] == "loop"],
            speed=speed(store, steps),
            diagnoses=[dict(r) | {"evidence": json.loads(r["evidence"])} for r in store.rows(FOUND)],
            disputes=store.rows(open_)[0][0],
            weaknesses=[dict(r) for r in store.rows(WEAK)],
        )


FOUND = "SELECT step, name, fatal, evidence, cure FROM diagnoses ORDER BY fatal DESC, step DESC LIMIT 50"
WEAK = """
SELECT round, name, kind, failed, n FROM weaknesses WHERE round = (SELECT max(round) FROM weaknesses) ORDER BY place LIMIT 6
"""


def written(directory: Path) -> float:
    """When the store was written last, in seconds since 1970."""
    paths = (directory / "run.db", directory / "run.db-wal")
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def latest_steps(store: Store, most: int = STEPS) -> list[dict[str, Any]]:
    """Steps in order, at most some `most` of them: every so many, and all of the latest."""
    (top,) = store.rows("SELECT coalesce(max(step), 0) FROM steps")[0]
    sql = "SELECT step, phase, round, stats FROM steps WHERE step % ? = 0 OR step > ? ORDER BY step"
    rows = store.rows(sql, (top // most + 1, top - 4 * LATEST))
    return [{**json.loads(row["stats"]), "step": row["step"], "phase": row["phase"], "round": row["round"]} for row in rows]


def budgeted(store: Store, meta: Mapping[str, Any], step: int) -> tuple[Budget | None, float, float]:
    """What the run may spend, how much it has used, and how much of it a second takes. Of a run that was extended, the
    extension.

    What is used is what `loop.Run.used` says: steps and tokens of the loop; all seconds but those before the first step; or the
    seconds of a method's own work.
    """
    stage = (meta.get("stages") or [{}])[-1]
    more = stage.get("more", "")
    line = re.search(r"^\s*budget\s+'?([^'\n]+)", str(meta.get("recipe_text", "")), re.MULTILINE)
    text = more or (meta.get("request") or {}).get("budget") or (line[1].strip() if line else "")
    try:
        budget = parse_budget(str(text))
    except UserError:
        return None, 0.0, 0.0
    seconds = {row[0]: row[1] for row in store.rows("SELECT phase, sum(seconds) FROM timings GROUP BY phase")}
    counted = sum(s for phase, s in seconds.items() if phase not in BEFORE)
    base, since = (float(stage["used"]), int(stage["step"])) if more else (0.0, 0)
    if budget.kind == "steps":
        (used,) = store.rows("SELECT count(*) FROM steps WHERE phase = 'loop' AND step < ?", (step,))[0]
    elif budget.kind == "tokens":
        (used,) = store.rows("SELECT coalesce(sum(n_sampled), 0) FROM rollouts WHERE purpose IN ('train', 'grow')")[0]
    else:
        used = counted if budget.kind == "seconds" else sum(s for phase, s in seconds.items() if phase in WORK)
    if budget.kind == "steps" and more:
        base = min(base, float(used))
    (recent,) = store.rows(
        "SELECT sum(seconds) FROM timings WHERE step >= ? AND phase NOT IN ('set-up', 'baseline')", (since,)
    )[0]
    pace = 1.0 if budget.kind == "seconds" else (used - base) / recent if recent else 0.0
    return budget, max(float(used) - base, 0.0), pace


def left(look: Look, live: Live, now: float) -> tuple[float | None, float | None]:
    """(share of the budget that is used, seconds left), as well as they can be told between two commits."""
    if look.budget is None:
        return None, None
    used = look.used
    if live.pid is not None and not look.finished and look.phase != "warmup":
        used += look.pace * max(now - max(look.at, live.since), 0.0)
    done = 1.0 if look.finished else min(used / look.budget.amount, 1.0)
    if look.finished or not look.pace or (look.phase == "warmup" and look.budget.kind != "seconds"):
        return done, 0.0 if look.finished else None
    return done, max(look.budget.amount - used, 0.0) / look.pace


def speed(store: Store, steps: Sequence[Mapping[str, Any]]) -> float | None:
    """Tokens sampled in a second of the latest steps' own work."""
    latest = [s for s in steps if is_number(s.get("tokens"))][-LATEST:]
    if not latest:
        return None
    marks = ", ".join("?" * len(WORK))
    sql = f"SELECT sum(seconds) FROM timings WHERE step BETWEEN ? AND ? AND phase IN ('warmup', {marks})"
    (seconds,) = store.rows(sql, (latest[0]["step"], latest[-1]["step"], *WORK))[0]
    return sum(s["tokens"] for s in latest) / seconds if seconds else None


SOLVED = "SELECT family, level, solved FROM evaluations WHERE purpose = 'validation' AND round = ? ORDER BY rowid"


def paired(before: str, after: str) -> tuple[int, int, int]:
    """(newly solved, no longer solved, judged both times) of the same tasks in the same order."""
    pairs = [(a, b) for a, b in zip(before, after) if "?" not in (a, b)] if len(before) == len(after) else []
    return pairs.count(("0", "1")), pairs.count(("1", "0")), len(pairs)


def skills(
    store: Store, first: int | None, newest: int | None, halved: bool
) -> dict[Arm, tuple[Estimate | None, Estimate | None]]:
    """As in `Look`. halved: of two tasks the first chose what is kept, so that the second is told."""
    told = slice(1, None, 2) if halved else slice(None)
    before, now = (
        {Arm(r["family"], r["level"]): r["solved"][told] for r in store.rows(SOLVED, (number,))} for number in (first, newest)
    )
    return {
        arm: (
            share(solved.count("1"), len(solved.replace("?", ""))),
            change(*paired(before.get(arm, ""), solved)) if first != newest else None,
        )
        for arm, solved in sorted(now.items())
    }


def curves(look: Look) -> Mapping[str, Any]:
    """The report's sections of rounds, of the curriculum and of training, of what there is so far."""
    return {
        "rounds": page.rounds(look.rounds),
        "curriculum": page.curriculum(look.chosen),
        "training": page.training(look.steps),
    }


def ago(seconds: float) -> str:
    """3725 -> '1 h ago', 5 -> 'just now'."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return "just now" if seconds < 10 else f"{int(seconds)} s ago"


def clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
