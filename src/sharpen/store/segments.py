"""Segments: judged rollouts in files of their own, written anywhere, taken into a run's store once each.

1. A line is a record: the CRC-32 of what follows, then JSON of the rows of a task, a rollout and its verdict, as the store has
   them. A line that is cut short, or has a byte changed, is left out and counted; whoever wrote it may write it again.
2. A writer only ever appends (`Writer`), or writes a whole file aside and gives it its name (`write`).
3. A reader may begin at any byte that an earlier one has stopped at. Taking a record twice changes nothing: rows are known by
   the rollout's id, and the first one stays.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharpen.core import Sample, Task
from sharpen.store import database

SUFFIX = ".segment"
TABLES = ("tasks", "rollouts", "verdicts")
BLOB = "b64:"  # before bytes; a text that begins so is kept as bytes, too
AT_ONCE = 2_000  # records inserted in one transaction


def record(sample: Sample, purpose: str, step: int, round: int) -> bytes:
    """One line."""
    rows = (
        database.task_row(sample.rollout.task),
        database.rollout_row(sample, purpose, step, round),
        database.verdict_row(sample),
    )
    text = json.dumps([[_cell(value) for value in row] for row in rows], separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(BLOB):
        value = value.encode("utf-8", "surrogatepass")
    return BLOB + base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _uncell(value: Any) -> Any:
    return base64.b64decode(value[len(BLOB) :]) if isinstance(value, str) and value.startswith(BLOB) else value


def rows_of(line: bytes) -> list[list[Any]] | None:
    """The rows of a task, a rollout and a verdict; None where the line is not what was written."""
    try:
        if line[8:9] != b" " or int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        found = json.loads(line[9:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or len(found) != len(TABLES) or not all(isinstance(row, list) for row in found):
        return None
    return [[_uncell(value) for value in row] for row in found]


def write(path: Path, samples: Iterable[Sample], purpose: str, step: int, round: int) -> None:
    """A whole segment under its name, durable; or nothing of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.partial")
    with database.explained(path.parent):
        with aside.open("wb") as file:
            file.writelines(record(sample, purpose, step, round) for sample in samples)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
        database.sync(path.parent)


class Writer:
    """Appends to a segment; what `add` has returned from is durable."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("ab")
        if self.file.tell():  # what an earlier writer has left may be half a line
            self.file.write(b"\n")

    def add(self, samples: Iterable[Sample], purpose: str, step: int, round: int) -> None:
        self.file.writelines(record(sample, purpose, step, round) for sample in samples)
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()


@dataclass
class Found:
    """What was read: whole records, lines that are not what was written, and the byte to go on from."""

    whole: int = 0
    torn: int = 0
    end: int = 0


def lines(path: Path, found: Found) -> Iterator[list[list[Any]]]:
    """The records behind the byte `found.end`, which moves on. A last line without an end is waited for, and stays
    behind it."""
    with path.open("rb") as file:
        file.seek(found.end)
        for line in file:
            if not line.endswith(b"\n"):
                return
            found.end += len(line)
            if not line.strip():
                continue
            rows = rows_of(line.rstrip(b"\n"))
            if rows is None:
                found.torn += 1
            else:
                found.whole += 1
                yield rows


def read(path: Path) -> list[Sample] | None:
    """The samples of a segment in order, each with weight 1; None where it is not there, or not all of it is whole."""
    if not path.is_file():
        return None
    found, tasks = Found(), dict[str, Task]()
    samples = [sample_of(rows, tasks) for rows in lines(path, found)]
    return samples if not found.torn and found.end == path.stat().st_size and samples else None


def sample_of(rows: list[list[Any]], tasks: dict[str, Task]) -> Sample:
    task, rollout, verdict = rows
    id, _, _, _, named, group, turns, tokens, sampled, logprobs, _, _, *rest = rollout
    return database.read_sample((id, named, group, turns, tokens, sampled, logprobs, *rest, *verdict[1:], *task[1:]), tasks)


def ingest(db: sqlite3.Connection, directory: Path, ends: dict[str, int]) -> Found:
    """Take what is new in the segments of a directory into a database of the store's schema, each rollout once.

    ends  by the file's name, where the last call stopped; it moves on, and belongs into the same commit
    Returns what was found in all; rows that were known already count as whole.
    """
    total = Found()
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        found = Found(end=ends.get(path.name, 0))
        waiting: list[list[list[Any]]] = []
        for rows in lines(path, found):
            waiting.append(rows)
            if len(waiting) == AT_ONCE:
                _insert(db, waiting)
                waiting = []
        _insert(db, waiting)
        ends[path.name] = found.end
        total.whole, total.torn, total.end = total.whole + found.whole, total.torn + found.torn, total.end + found.end
    return total


def _insert(db: sqlite3.Connection, records: list[list[list[Any]]]) -> None:
    for i, table in enumerate(TABLES):
        rows = [record[i] for record in records]
        if rows:
            db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
