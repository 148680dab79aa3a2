"""Which runs are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sharpen.core import UserError

MOST = 200  # runs that a page shows
DEPTH = 3  # directories below one that is named in which runs are looked for


def runs(named: Sequence[Path]) -> list[Path]:
    """The runs in these places; in runs/, the latest first, where none is named. A place is a run, or holds runs: a folder of
    them, or a comparison. Each once, whatever links lead to it. Raises UserError where there is none."""
    found: dict[Path, Path] = {}
    for place in named or [Path("runs")]:
        below = list(within(place, DEPTH))
        if not below and named:
            what = (
                "holds no run: there is no run.db in it or below"
                if place.is_dir()
                else "is not a directory, so it holds no run"
            )
            raise UserError(f"{place} {what}. Check the path, or begin a run with `sharpen run`.")
        for path in below if named else sorted(below, key=age, reverse=True):
            found.setdefault(path.resolve(), path)
    if not found:
        raise UserError("There is no run in runs/ here. Name one: sharpen view path/to/run; or begin one: sharpen run.")
    return list(found.values())


def within(place: Path, depth: int) -> list[Path]:
    if (place / "run.db").is_file():
        return [place]
    if not depth or not place.is_dir():
        return []
    try:
        below = sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []
    return [run for path in below for run in within(path, depth - 1)][:MOST]


def age(run: Path) -> float:
    """When it was written last."""
    return max((path.stat().st_mtime for path in (run / "run.db", run / "run.db-wal") if path.exists()), default=0.0)
