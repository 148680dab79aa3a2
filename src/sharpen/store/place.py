"""The directory of a run: whether it holds one; and while one goes on held open, so it is known when somebody moves it."""

from __future__ import annotations

import os
from pathlib import Path

from sharpen.core import UserError


def refuse_taken(directory: Path) -> None:
    """Raises UserError where the directory holds a run."""
    if (directory / "run.db").exists() or any(directory.glob("checkpoints/*")):
        cure = f"Go on with it (`sharpen resume {directory}`), or choose another --run-dir."
        raise UserError(f"{directory} already holds a run, and two runs in one directory would mix. {cure}")


class Place:
    """Where a run is. `follow` finds it again; `moved` says from where to where it went, if it did."""

    def __init__(self, directory: Path) -> None:
        self.path = directory
        self.moved: tuple[Path, Path] | None = None
        self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        os.close(self._descriptor)

    def follow(self) -> Path:
        """Where the directory is now. UserError where it is gone: then what is written would be lost without a word."""
        if not self._is(self.path):
            try:
                now = Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))
            except OSError:  # a system without such names
                now = self.path
            if not self._is(now):
                raise UserError(
                    f"{self.path} is gone: it was removed, or moved to another disk, while the run went on. Where it was moved "
                    "to, its last commit is whole: go on there with `sharpen resume`."
                )
            self.moved, self.path = (self.moved[0] if self.moved else self.path, now), now
        return self.path

    def _is(self, path: Path) -> bool:
        try:
            there = os.stat(path)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def stop_if_moved(self) -> None:
        """Raise UserError where the run is no longer where its owner put it."""
        if self.moved:
            then, now = self.moved
            raise UserError(
                f"{then} was moved to {now} while the run went on, so the run stops. All that it did is committed there: go on "
                f"with `sharpen resume {now}`."
            )
