"""Table `served`: what a server was asked and said.

It is no part of a run's state, so it needs no commit, and a run has it only once somebody recorded into it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from sharpen.store import checkpoints, database

TABLE = """CREATE TABLE IF NOT EXISTS served(id INTEGER PRIMARY KEY, at REAL NOT NULL, model TEXT NOT NULL,
    prompt TEXT NOT NULL, text TEXT NOT NULL, tokens BLOB NOT NULL, logprobs BLOB NOT NULL, n_prompt INTEGER NOT NULL,
    n_sampled INTEGER NOT NULL, stop TEXT NOT NULL, settings TEXT NOT NULL);"""


class Served:
    """The table of the run in a directory, to be added to. UserError where a run is going on there: it has one writer."""

    def __init__(self, directory: Path):
        self.directory = directory
        with ExitStack() as stack, database.explained(directory):
            checkpoints.own(directory)
            stack.enter_context(database.locked(directory))
            self.db = stack.enter_context(closing(database.connect(directory / "run.db", "rw")))
            database.check(self.db, directory)
            self.db.execute(TABLE)
            self.stack = stack.pop_all()

    def add(self, rows: Iterable[tuple]) -> None:
        """Rows in the table's columns without `id`, durable when this returns. Raises UserError where the disk refuses."""
        with database.explained(self.directory), self.db:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.executemany(f"INSERT INTO served VALUES (NULL{', ?' * 10})", rows)

    def close(self) -> None:
        self.stack.close()
