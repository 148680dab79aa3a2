"""What a person decides on the page, left for the run (store/asked.py): labels, a pause, more budget. And starting and stopping
it.

The page writes nothing into a store. A run that nobody works on takes in what was decided when it is resumed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.store import Asked, Store, asked
from sharpen.view.searching import asked_in, text_of

MOST = 200  # labels that a page lists
WHO = 60  # characters of a name
LOG = "resumed.log"  # in a run's directory: what a run that was started from the page says

DISPUTES = """
SELECT 'dispute' AS kind, d.task AS subject, d.round, d.reason, CAST(substr(d.example, 1, 2000) AS BLOB) AS example, t.family,
t.level,
    t.prompt, t.answer AS claimed, NULL AS before, t.solution, t.operator, t.parents
FROM disputes d JOIN tasks t ON t.id = d.task ORDER BY d.rowid DESC LIMIT ?
"""
REPAIRS = """
SELECT 'repair' AS kind, p.task AS subject, p.round, p.kind AS reason, p.reason AS example, t.family, t.level, t.prompt,
    m.answer AS claimed, t.answer AS before, m.solution, t.operator, t.parents
FROM repairs p JOIN tasks t ON t.id = p.task LEFT JOIN tasks m ON m.id = p.mended ORDER BY p.place DESC LIMIT ?
"""
TAKEN = "SELECT id, round, step, kind, subject, answer, label, made, who, at FROM asked"


@dataclass(frozen=True)
class Label:
    """A label that a person may decide: in dispute, or revised.

    claimed  what the label is, or would be; None where the task was dropped
    before   of a revision, what it was
    said     what somebody has decided, `taken` in which round that was taken in, `made` which task came of it
    """

    kind: str
    subject: str
    round: int
    arm: str
    question: str
    claimed: str | None
    before: str | None
    reason: str
    example: str
    operator: str
    parents: Sequence[str]
    said: Asked | None
    taken: int | None
    made: str | None


def labels(store: Store, directory: Path) -> tuple[list[Label], list[Label]]:
    """(those to decide, those that were), the latest first."""
    taken = {row["id"]: row for row in store.rows(TAKEN)}
    waiting = {said.id: said for said in asked.listed(directory, *asked.LABELS)}
    found = []
    for row in [*store.rows(DISPUTES, (MOST,)), *store.rows(REPAIRS, (MOST,))]:
        id = f"{row['kind']}-{row['subject']}"
        known = taken.get(id)
        said = Asked(*(known[key] for key in ("kind", "subject", "answer", "label", "who", "at"))) if known else waiting.get(id)
        texts = {key: None if row[key] is None else text_of(row[key]) for key in ("claimed", "before", "example", "operator")}
        found.append(
            Label(
                row["kind"],
                row["subject"],
                row["round"],
                f"{row['family']}/{row['level']}",
                asked_in(row["prompt"]),
                texts["claimed"],
                texts["before"],
                row["reason"],
                texts["example"] or "",
                texts["operator"] or "",
                json.loads(row["parents"]),
                said,
                known["round"] if known else None,
                known["made"] if known else None,
            )
        )
    return [label for label in found if label.said is None], [label for label in found if label.said is not None]


def decide(directory: Path, given: Mapping[str, str], now: float) -> Asked:
    """Leave a decision about a label. Raises `asked.Taken` where somebody was first, UserError where there is nothing to
    decide."""
    kind, subject, answer = (given.get(key, "") for key in ("kind", "subject", "answer"))
    label = given.get("label", "").replace("\r\n", "\n").strip() if answer == "edit" else None
    said = Asked(kind, subject, answer, label, given.get("who", "").strip()[:WHO], now)
    if fault := asked.wrong(vars(said)):
        raise UserError(f"This cannot be decided: {fault}.")
    with Store.open(directory) as store:
        there = {"dispute": "disputes", "repair": "repairs"}[kind] if kind in asked.LABELS else ""
        if not there or not store.rows(f"SELECT 1 FROM {there} WHERE task = ?", (subject,)):
            raise UserError("There is no such label in this run.")
        row = next(iter(store.rows(f"{TAKEN} WHERE id = ?", (said.id,))), None)
    if row:  # its file may be gone
        raise asked.Taken(Asked(*(row[key] for key in ("kind", "subject", "answer", "label", "who", "at"))))
    asked.put(directory, said)
    return said


def stop(directory: Path) -> str:
    """Ask the process that works on the run to end with all kept, as Ctrl-C does."""
    pid = asked.holder(directory)
    if pid is None:
        raise UserError("Nobody works on this run, so there is nothing to stop.")
    try:
        os.kill(pid, signal.SIGTERM)
    except OSError as error:
        raise UserError(f"Process {pid} cannot be told to stop: {error.strerror}. It belongs to somebody else.") from error
    return f"Process {pid} was told to stop. It ends the step in hand and commits it."


def pause(directory: Path) -> str:
    if asked.holder(directory) is None:
        raise UserError("Nobody works on this run, so there is nothing to pause.")
    asked.numbered(directory, "pause")
    return "It pauses at the end of the round in hand."


def extend(directory: Path, budget: str, who: str, now: float) -> str:
    """More budget, once the run is finished. Raises UserError for what is no budget."""
    asked.numbered(directory, "extend", budget.strip(), who.strip()[:WHO], now)
    return f"{budget.strip()} more, once its budget is spent."


def resume(directory: Path) -> subprocess.Popen[bytes]:
    """Go on with a run in a process of its own, which outlives this one; what it says goes to a file beside the run."""
    if (pid := asked.holder(directory)) is not None:
        raise UserError(f"Process {pid} works on this run already.")
    command = [sys.executable, "-m", "sharpen", "resume", str(directory.resolve())]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(directory / LOG, flags, 0o644), "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    except OSError as error:
        raise UserError(f"{directory} cannot be gone on with: {error.strerror}.") from error


def failed(process: subprocess.Popen[bytes], directory: Path, seconds: float = 0.0) -> str | None:
    """What a process that was started here said last, where it has ended with an error."""
    with suppress(subprocess.TimeoutExpired):
        if process.wait(seconds) not in (0, 130):
            lines = (directory / LOG).read_bytes()[-4000:].decode("utf-8", "replace").strip().splitlines()
            return "\n".join(lines[-6:])
    return None


def summary(label: Label) -> dict[str, Any]:
    """As JSON."""
    said = label.said
    keys = (
        "kind",
        "subject",
        "round",
        "arm",
        "question",
        "claimed",
        "before",
        "reason",
        "example",
        "operator",
        "taken",
        "made",
    )
    told = None if said is None else {"answer": said.answer, "label": said.label, "who": said.who, "at": said.at}
    return {key: getattr(label, key) for key in keys} | {"said": told}


def when(said: Asked) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(said.at))
