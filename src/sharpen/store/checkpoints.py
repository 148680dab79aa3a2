"""Checkpoint directories of a run: written aside, made durable, given their name, removed when out of use."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Collection
from functools import partial as partial_of
from pathlib import Path

from sharpen.store import database


def write(run: Path, name: str, save: Callable[[Path], object]) -> Callable[[], object] | None:
    """Let save(directory) write a checkpoint beside the others, not yet under its name.

    Where it returns a function, that does what is left of the writing, and comes back: to be called before `publish`.
    Raises what `save` raises, OSError (no space) where the disk is full, and ValueError where nothing was written.
    """
    partial = run / "checkpoints" / f"{name}.partial"
    partial.mkdir(parents=True)
    rest = _written(partial, partial_of(save, partial))
    return partial_of(_written, partial, rest) if callable(rest) else None


def _written(partial: Path, work: Callable[[], object]) -> object:
    try:
        rest = work()
    except Exception as error:  # and raise it again: libraries hide a full disk in errors of their own
        if shutil.disk_usage(partial).free < 1 << 20:
            raise OSError(errno.ENOSPC, str(error)) from error
        raise
    if not callable(rest) and not any(partial.iterdir()):
        raise ValueError(f"save wrote nothing into {partial}")
    return rest


def publish(run: Path, name: str, fault: Callable[[str], object]) -> None:
    """Make a written checkpoint durable, and only then give it its name. `fault` as in `Store`."""
    final = run / "checkpoints" / name
    partial = final.with_name(f"{name}.partial")
    for directory, _, names in os.walk(partial):
        for path in (*(Path(directory, n) for n in names), Path(directory)):
            database.sync(path)
    fault("synced")
    partial.rename(final)
    database.sync(final.parent)
    fault("renamed")


def clean(run: Path, kept: Collection[str]) -> None:
    """Remove every checkpoint but those kept."""
    for path in (run / "checkpoints").glob("*"):
        if re.fullmatch(r"\d{6,}(\.partial)?", path.name) and path.name not in kept:
            shutil.rmtree(path)
