"""What a tracker has to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Tracked:
    """The run that is shown. directory: absolute; config: what was asked for, plain values by name; id: what the tracker called
    itself when an earlier process began it, "" at first; step: the first one that comes."""

    name: str
    directory: Path
    config: Mapping[str, Any]
    id: str = ""
    step: int = 0


class Tracker(Protocol):
    """One run in a tracker, as `begin(tracked)` of a to_….py, or a function of yours, gives it. Whatever it raises ends the
    tracking, not the run."""

    id: str  # by which a later process goes on with the same run

    def metrics(self, step: int, values: Mapping[str, float]) -> None: ...

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def artefact(self, path: Path) -> None:
        """Keep a file, such as the report."""

    def finish(self) -> None: ...
