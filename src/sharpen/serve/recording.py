"""What was asked and said, kept in the store: table `served`, for SELECTs and as material for tasks."""

from __future__ import annotations

import json
import queue
import threading
import time
from pathlib import Path

import numpy as np

from sharpen.core import UserError
from sharpen.serve.answering import Row, settings
from sharpen.serve.opened import Opened
from sharpen.store import Served, Store


def place(home: Path) -> Path:
    """The directory whose store takes the rows: a run's own; beside a model one is made, in `served`."""
    if (home / "run.db").is_file():
        return home
    beside = home / "served"
    if not (beside / "run.db").is_file():
        try:
            Store.create(beside, {"recipe": "served", "model": str(home.resolve())}).close()
        except UserError as error:
            raise UserError(f"--record keeps what is asked beside the model, and cannot: {error}") from error
    return beside


class Recording:
    """Writes rows from a thread of its own, so that nobody waits for the disk. `close` waits until all are written."""

    def __init__(self, here: Opened):
        self.here, self.lines = here, queue.SimpleQueue[tuple | None]()
        self.served = Served(place(here.home))
        self.lost = ""
        self.thread = threading.Thread(target=self.run, name="sharpen-record", daemon=True)
        self.thread.start()

    def keep(self, row: Row) -> None:
        prompt = self.here.policy.tokenizer.decode(row.prompt)
        tokens = np.concatenate([row.prompt, np.array(row.written, dtype=np.int32)]).astype("<i4").tobytes()
        logprobs = np.array(row.drawn, dtype="<f4").tobytes()
        counts = (len(row.prompt), len(row.written))
        told = json.dumps(settings(row))
        self.lines.put((time.time(), str(self.here.directory), prompt, row.text, tokens, logprobs, *counts, row.stop, told))

    def run(self) -> None:
        while (line := self.lines.get()) is not None:
            try:
                self.served.add([line])
            except UserError as error:  # the answers go on; it is said once
                if not self.lost:
                    self.lost = str(error)
                    print(f"what is asked is no longer recorded: {error}", flush=True)

    def close(self) -> None:
        self.lines.put(None)
        self.thread.join(timeout=60)
        self.served.close()
