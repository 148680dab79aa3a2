"""Checkpoint directories of a run: written aside, summed, made durable, given their name, removed when out of use.

Each holds SHA256SUMS, the SHA-256 of every other file in the form that `sha256sum -c` reads; the commit that names a checkpoint
holds the sum of that list. So a byte that has flipped, and a file that is missing or was added, are found before they are used.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial as partial_of
from pathlib import Path

from sharpen.core import UserError
from sharpen.store import database

SUMS = "SHA256SUMS"
NAME = r"\d{6,}"
OWN = ("checkpoints", "base", "kept", "mixed", "start", "refused", "run.db", "run.db-wal", "run.db-shm", "run.lock", "asked")
CURE = "Take the run from a copy, or begin anew with --model and a checkpoint that is whole."


def write(run: Path, name: str, save: Callable[[Path], object]) -> Callable[[], object] | None:
    """Let save(directory) write a checkpoint beside the others, not yet under its name.

    Where it returns a function, that does what is left of the writing, and comes back: to be called before `publish`.
    Raises what `save` raises, OSError (no space) where the disk is full, and ValueError where nothing was written.
    """
    partial = run / "checkpoints" / f"{name}.partial"
    partial.mkdir()  # and no parent: a run that has moved is not begun again where it was
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


def publish(run: Path, name: str, fault: Callable[[str], object]) -> str:
    """Make a written checkpoint durable, and only then give it its name. Returns its sum. `fault` as in `Store`."""
    final = run / "checkpoints" / name
    partial = final.with_name(f"{name}.partial")
    total = stamp(partial)
    for directory, _, names in os.walk(partial):
        for path in (*(Path(directory, n) for n in names), Path(directory)):
            database.sync(path)
    fault("synced")
    partial.rename(final)
    database.sync(final.parent)
    fault("renamed")
    return total


def stamp(directory: Path) -> str:
    """Write SHA256SUMS into a directory that is to be relied on later. Returns the sum of that list."""
    text = "".join(f"{digest}  {name}\n" for name, digest in summed(directory, list(files(directory))).items())
    (directory / SUMS).write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def verify(directory: Path, total: str | None = None) -> Path:
    """The directory, once every file in it is found to be as `stamp` saw it; UserError that names the first which is not.

    total  what `stamp` returned, where that is known: then the list itself cannot have changed either
    """
    path = directory / SUMS
    plain(directory, path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}), so nothing vouches for {directory}. {CURE}") from error
    lines = re.findall(r"([0-9a-f]{64})  ([^\n]+)\n", text.decode("utf-8", "replace"))
    if (total and hashlib.sha256(text).hexdigest() != total) or "".join(f"{d}  {n}\n" for d, n in lines).encode() != text:
        raise UserError(f"{path} is not what was written: a byte of it has changed. {CURE}")
    then = {name: digest for digest, name in lines}
    there = list(files(directory))
    if other := sorted(set(then) ^ set(there)):
        what = "is gone" if other[0] in then else "was not written by this run"
        raise UserError(f"{directory / other[0]} {what}. {CURE}")
    for name, digest in summed(directory, there).items():
        if digest != then[name]:
            raise UserError(f"{directory / name} is damaged: its content is not what was written. {CURE}")
    return directory


def summed(directory: Path, names: Collection[str]) -> dict[str, str]:
    """SHA-256 of these files, by name, in hexadecimal."""
    with ThreadPoolExecutor(4) as pool:  # hashing lets other threads run
        return dict(zip(names, pool.map(lambda name: digest(directory / name), names), strict=True))


def digest(path: Path) -> str:
    """SHA-256 of a file, which may be large."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files(directory: Path) -> Iterator[str]:
    """Every file below a directory but SHA256SUMS, by its relative name, sorted. UserError for what is no plain file."""
    for path in sorted(directory.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise UserError(f"{path} is a link or no plain file, and a checkpoint holds only files. {CURE}")
        name = str(path.relative_to(directory))
        if path.is_file() and name != SUMS:
            yield name


def plain(*paths: Path) -> None:
    """Refuse symbolic links, which may lead anywhere: UserError."""
    for path in paths:
        if path.is_symlink():
            raise UserError(
                f"{path} is a symbolic link, and none is followed inside a run: what it leads to could be read, overwritten "
                "or removed. Put the file itself there; a link to the whole run is fine."
            )


def own(run: Path) -> None:
    """Refuse a run whose own files or directories are links. UserError."""
    plain(*(run / name for name in OWN), *run.glob("start-*"))


def named(name: str) -> str:
    """A checkpoint's name as a commit may have it. UserError for anything but digits."""
    if not re.fullmatch(NAME, name, re.ASCII):
        raise UserError(f"The run names a checkpoint {name!r}, and names are digits: run.db is damaged, or not from sharpen.")
    return name


def clean(run: Path, kept: Collection[str], known: Collection[str], following: str) -> None:
    """Remove what commits have named and none needs any more, and what a killed process left of the commit that follows.

    What no commit ever named is somebody else's and stays. UserError where it stands in the way of the commit that follows.
    """
    place = run / "checkpoints"
    plain(place)
    for path in place.iterdir():
        if not re.fullmatch(rf"{NAME}(\.partial)?", path.name, re.ASCII) or path.is_symlink() or path.name in kept:
            continue
        if path.name in known or path.name.removesuffix(".partial") in (*known, following):
            if path.name == following and not (path / SUMS).is_file():
                raise UserError(f"{path} was not made by this run, and its next commit needs the name. Move it elsewhere.")
            shutil.rmtree(path)
