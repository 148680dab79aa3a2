"""Trackers for tests: one writes down what it gets, the others fail as trackers do."""

from __future__ import annotations

import json
import signal


class Written:
    def __init__(self, tracked):
        self.path = tracked.directory / "written.jsonl"
        self.id = tracked.id or "first"
        self.put("begin", tracked.step, tracked.id, dict(tracked.config))

    def put(self, *what):
        with self.path.open("a") as file:
            file.write(json.dumps(what) + "\n")

    def metrics(self, step, values):
        self.put("metrics", step, values)

    def table(self, step, name, columns, rows):
        assert all(len(row) == len(columns) for row in rows)
        self.put("table", step, name, len(rows))

    def artefact(self, path):
        self.put("artefact", path.name, path.read_text("utf-8")[:15])

    def finish(self):
        self.put("finish")


def down(tracked):
    raise ConnectionError("the tracker is down")


def hung(tracked):
    print("hung", flush=True)
    signal.pause()
