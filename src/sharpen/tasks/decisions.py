"""What a person decided about tasks whose verdicts are in dispute: TASKS.decisions.jsonl, beside the file of tasks.

    {"id": "a", "decision": "drop", "task": "0f3a…", "settled": []}

right  the verifier is right: the disputes that were open then (`settled`) are not shown again; new ones are
wrong  the verifier, or the task's answer, is wrong: the dispute stays open until either is mended, and nothing is trained on it
drop   the task is not used: not audited, not trained on

A decision holds for the line as it was (`task`, a hash of it): a line that was changed is a new task.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sharpen.core import UserError, suggest
from sharpen.hashing import digest

KINDS = ("right", "wrong", "drop")


@dataclass(frozen=True)
class Ruling:
    """`settled` holds the hashes of the disputes that were open when it was made."""

    id: str
    decision: str
    task: str
    settled: tuple[str, ...] = ()


def beside(tasks: Path) -> Path:
    return tasks.with_name(f"{tasks.stem}.decisions.jsonl")


def content(record: Mapping[str, Any]) -> str:
    """A hash of a task's line, whatever its id."""
    return digest({key: value for key, value in record.items() if key != "id"})


def read(tasks: Path) -> dict[str, Ruling]:
    """By hash of the task; the last one counts. Empty where nothing was decided. Raises UserError."""
    path = beside(tasks)
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            ruling = Ruling(**json.loads(line))
            if ruling.decision not in KINDS:
                raise ValueError(f"decision {ruling.decision!r}")
        except (ValueError, TypeError) as e:
            raise UserError(f"{path}, line {number}: no decision: {e}. Mend the line, or delete it.") from e
        found[ruling.task] = ruling
    return found


def write(tasks: Path, rulings: Mapping[str, Ruling]) -> None:
    path = beside(tasks)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text("".join(json.dumps(asdict(ruling)) + "\n" for ruling in rulings.values()), encoding="utf-8")
    part.replace(path)


def unused(tasks: Path) -> frozenset[str]:
    """Hashes of the tasks that are not to be trained on."""
    return frozenset(ruling.task for ruling in read(tasks).values() if ruling.decision != "right")


def parse(text: str) -> tuple[str, str]:
    """("a", "drop") of "a=drop". Raises UserError."""
    id, equals, decision = text.rpartition("=")
    if not equals or not id or decision not in KINDS:
        close = suggest(decision, KINDS) if equals else ""
        raise UserError(f"--decide {text!r}: written ID=right, ID=wrong or ID=drop.{close}")
    return id, decision
