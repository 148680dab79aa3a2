"""Which runs and outer loops are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sharpen.core import UserError
from sharpen.view import trees

MOST = 200  # runs that a page shows
DEPTH = 3  # directories below one that is named in which runs are looked for


def runs(named: Sequence[Path], loops: Sequence[Path] = ()) -> list[Path]:
    """The runs in these places; in runs/, the latest first, where none is named. A place is a run, or holds runs: a folder of
    them, a comparison, a loop. Each once, whatever links lead to it. Raises UserError where there is neither run nor loop."""
    found: dict[Path, Path] = {}
    for place in named or [Path("runs")]:
        below = list(within(place, DEPTH))
        if not below and named and not any(loop.is_relative_to(place) for loop in loops):
            what = (
                "holds no run: there is no run.db in it or below"
                if place.is_dir()
                else "is not a directory, so it holds no run"
            )
            raise UserError(f"{place} {what}. Check the path, or begin a run with `sharpen run`.")
        for path in below if named else sorted(below, key=age, reverse=True):
            found.setdefault(path.resolve(), path)
    if not found and not loops:
        raise UserError("There is no run in runs/ here. Name one: sharpen view path/to/run; or begin one: sharpen run.")
    return list(found.values())


def loops(named: Sequence[Path]) -> list[Path]:
    """The outer loops in these places; in runs/ where none is named."""
    found = [loop for place in named or [Path("runs")] for loop in within(place, DEPTH, trees.NAME)]
    return list({path.resolve(): path for path in found}.values())


def within(place: Path, depth: int, name: str = "run.db") -> list[Path]:
    """Directories that hold a file of this name, which are not looked into further."""
    if (place / name).is_file():
        return [place]
    if not depth or not place.is_dir():
        return []
    try:
        below = sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []
    return [one for path in below for one in within(path, depth - 1, name)][:MOST]


def age(run: Path) -> float:
    """When it was written last."""
    return max((path.stat().st_mtime for path in (run / "run.db", run / "run.db-wal") if path.exists()), default=0.0)
