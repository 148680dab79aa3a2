"""Weights & Biases. WANDB_MODE=offline keeps everything in RUN/wandb until `wandb sync`; WANDB_PROJECT: else "sharpen"."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from sharpen.track.tracker import Tracked


class Wandb:
    def __init__(self, tracked: Tracked):
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "sharpen"),
            name=tracked.name,
            id=tracked.id or None,
            resume="allow" if tracked.id else None,
            dir=str(tracked.directory),
            config=dict(tracked.config),
            settings=wandb.Settings(disable_git=True, disable_code=True, console="off", x_disable_stats=True),
        )
        self.id = self.run.id
        self.run.define_metric("*", step_metric="step")  # its own counter refuses what comes late

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log({**values, "step": step})

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows]), "step": step})

    def artefact(self, path: Path) -> None:
        kept = wandb.Artifact(f"{path.stem}-{self.id}", type="report")
        kept.add_file(str(path))
        self.run.log_artifact(kept)

    def finish(self) -> None:
        self.run.finish()


def begin(tracked: Tracked) -> Wandb:
    return Wandb(tracked)
