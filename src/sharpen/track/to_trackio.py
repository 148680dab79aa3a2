"""trackio, on this machine: `trackio show --project sharpen`. TRACKIO_DIR says where its files go."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trackio

from sharpen.track.tracker import Tracked


class Trackio:
    def __init__(self, tracked: Tracked):
        self.id = tracked.id or tracked.name
        self.run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", "sharpen"),
            name=self.id,
            resume="allow",
            config={key: str(value) for key, value in tracked.config.items()},
            embed=False,
        )

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.run.log({name: trackio.Table(columns=list(columns), data=[list(row) for row in rows])}, step=step)

    def artefact(self, path: Path) -> None:
        self.run.log({path.stem: trackio.Markdown(f"The report is at {path}")})

    def finish(self) -> None:
        self.run.finish()


def begin(tracked: Tracked) -> Trackio:
    return Trackio(tracked)
