"""What an outer loop has tried, line by line on disk: all that it needs to go on, and all that a report needs.

A line is written whole and made durable before the next thing is done; of a line that a kill cut short nothing is believed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sharpen.core import UserError


@dataclass(frozen=True)
class Candidate:
    """Something to be tried. `values` is JSON; `by` says who proposed it; `parents` are numbers of candidates."""

    number: int
    values: Mapping[str, Any]
    by: str
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Score:
    """What came of a candidate at a share of the full budget: higher is better.

    error  standard error of `value`, as far as it is known; 0 where nothing is known
    seed   of the run, where it counts
    more   what else is to be kept, as JSON
    """

    number: int
    rung: float
    value: float
    error: float = 0.0
    seed: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A candidate that came to nothing, why, and the seconds that it took, as far as they count."""

    number: int
    why: str
    wall: float = 0.0


Entry = Candidate | Score | Failure
KINDS: Mapping[str, type[Entry]] = {"candidate": Candidate, "score": Score, "failure": Failure}


class Failed(Exception):
    """A candidate cannot be measured: why, in words, and the seconds that it took. It costs only itself."""

    def __init__(self, why: str, wall: float = 0.0) -> None:
        super().__init__(why)
        self.wall = wall


@dataclass
class History:
    """Everything so far, in order; `path` is None where it is kept in memory only."""

    path: Path | None = None
    entries: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Note it, durably."""
        self.entries.append(entry)
        if self.path is not None:
            kind = next(name for name, kind in KINDS.items() if isinstance(entry, kind))
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": kind, **asdict(entry)}) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def of(self, kind: type[Any]) -> list[Any]:
        return [entry for entry in self.entries if isinstance(entry, kind)]

    @property
    def candidates(self) -> list[Candidate]:
        return self.of(Candidate)

    @property
    def failed(self) -> dict[int, str]:
        return {entry.number: entry.why for entry in self.of(Failure)}

    def scores(self, rung: float | None = None) -> dict[int, Score]:
        """By candidate, its latest score, of that rung or of the highest that it reached; of none that failed."""
        found: dict[int, Score] = {}
        for score in self.of(Score):
            wanted = score.number not in self.failed and (score.rung == rung or rung is None)
            if wanted and (score.number not in found or score.rung >= found[score.number].rung):
                found[score.number] = score
        return found


def read(path: Path) -> History:
    """The history in that file; an empty one where there is none. UserError where it is none."""
    history = History(path)
    if not path.exists():
        return history
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    if torn:  # a kill in the midst of a line
        path.write_bytes(whole + b"\n" if whole else b"")
    try:
        history.entries += [entry(json.loads(line)) for line in whole.splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read as what an outer loop tried: {error!r}. Take another --run-dir.") from error
    return history


def entry(row: dict[str, Any]) -> Entry:
    kind: Any = KINDS[row.pop("kind")]
    return kind(**{key: tuple(value) if key == "parents" else value for key, value in row.items()})


def finished(entries: Iterable[Entry]) -> set[int]:
    """Numbers of candidates of which something is known."""
    return {e.number for e in entries if not isinstance(e, Candidate)}
