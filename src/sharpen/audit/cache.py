"""Verdicts that were given before, so that judging a file again, or going on after an interruption, repeats no work.

A verdict is kept under a hash of all that it depends on: the task as it is judged (answer, tests, limits), the response, the
verifier's version, and the isolation asked for. The version is a hash of this program's own source, and of the packages that
judge, so that no change of a verifier can be forgotten. An `unscorable` verdict is not kept: it is tried again.

One SQLite file in the user's cache directory; several processes may use it at once. Deleting it costs time only.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sharpen.core import Task
from sharpen.terminal import places

cache_directory = places.cache_directory
PACKAGES = ("reasoning-gym", "math-verify", "sympy", "jsonschema", "regex")
JUDGE = ("SHARPEN_JUDGE_URL", "SHARPEN_JUDGE_MODEL")  # a judge model is a verifier too
TOGETHER = 200  # verdicts written at once; so many are judged again where the program is killed

Row = Mapping[str, Any]


class VerdictCache:
    """Rows by key, in a with statement. `directory` None: nothing is kept. Raises OSError or sqlite3.Error."""

    def __init__(self, directory: Path | None) -> None:
        self._new: dict[str, Row] = {}
        self._db: sqlite3.Connection | None = None
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(directory / "verdicts.db", timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS verdicts(key TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID")

    def get(self, key: str) -> Row | None:
        if key in self._new or self._db is None:
            return self._new.get(key)
        found = self._db.execute("SELECT row FROM verdicts WHERE key = ?", (key,)).fetchone()
        return json.loads(found[0]) if found else None

    def put(self, key: str, row: Row) -> Row:
        """Keep a row; of two with the same key the first, which is returned."""
        if self._db is None or row["outcome"] == "unscorable":
            return row
        if earlier := self.get(key):
            return earlier
        self._new[key] = row
        if len(self._new) >= TOGETHER:
            self.write()
        return row

    def write(self) -> None:
        """Make new rows durable. One short transaction, so that nobody who shares the file waits long."""
        if self._db is not None and self._new:
            self._db.execute("BEGIN IMMEDIATE")
            rows = [(key, json.dumps(row)) for key, row in self._new.items()]
            self._db.executemany("INSERT OR IGNORE INTO verdicts VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
            self._new.clear()

    def __enter__(self) -> VerdictCache:
        return self

    def __exit__(self, *error: object) -> None:
        if self._db is not None:
            self.write()
            self._db.close()


def key_of(task: Task, response: str, isolation: str) -> str:
    judged = [
        verifier_version(),
        isolation,
        list(task.prompt),
        task.answer,
        task.family,
        task.level,
        task.verifier,
        dict(task.data),
    ]
    judged += [os.environ.get(name) for name in JUDGE] if task.verifier in ("judge", "rubric") else []
    text = json.dumps([*judged, response], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@functools.cache
def verifier_version() -> str:
    """A hash of this program's source, the interpreter's version and those of the packages that judge."""
    found = hashlib.blake2b(sys.version.encode(), digest_size=8)
    root = Path(__file__).parents[1]
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".js")):
        found.update(f"{path.relative_to(root)} {path.stat().st_size} ".encode() + path.read_bytes())
    for name in PACKAGES:
        try:
            found.update(f"{name} {importlib.metadata.version(name)} ".encode())
        except importlib.metadata.PackageNotFoundError:
            found.update(f"{name} absent ".encode())
    return found.hexdigest()
