"""Weights for other processes: a directory named by its content, written aside, made durable, and only then given its name.

An adapter is what peft and vLLM load (adapter_config.json, adapter_model.safetensors), a whole model what transformers loads.
The same weights have the same name, so weights that come back, such as those of a round that was taken back, are not written
twice. Who reads a directory of that name reads all of it or nothing.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharpen.core import FatalDiagnosis, UserError
from sharpen.models import adapters, saving
from sharpen.store import checkpoints, database

PREFIX = "sharpen-"
DIGITS = 16  # of the sum of the content


@dataclass(frozen=True)
class Published:
    """A directory of weights. `version`: of the policy whose weights they are; `adapter`: not a whole model."""

    name: str
    path: Path
    version: int
    adapter: bool

    def whole(self) -> None:
        """FatalDiagnosis where the directory is not what was written."""
        try:
            checkpoints.verify(self.path)
        except UserError as error:
            raise FatalDiagnosis(
                f"half_written: the published weights {self.path} are not what was written: {error} A server that loads them "
                "runs something else. Look at the disk that they are on, then begin or resume the run."
            ) from error


def write(policy: Any, place: Path) -> Published:
    """The policy's present weights below `place`. FatalDiagnosis where the disk has no room."""
    partial = place / f"{uuid.uuid4().hex}.partial"
    try:
        place.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        fill(policy, partial)
        total = checkpoints.stamp(partial)
        for path in partial.rglob("*"):
            database.sync(path)
        database.sync(partial)
        name = f"{PREFIX}{total[:DIGITS]}"
        final = place / name
        if final.is_dir():
            shutil.rmtree(partial)
        else:
            partial.rename(final)
            database.sync(place)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        name, cure = ("publish_disk_full", "Make room there") if full else ("publish_failed", "Let this user write there")
        raise FatalDiagnosis(
            f"{name}: the weights cannot be written to {place} ({error.strerror or error}), so no server can have them, and "
            f"nothing was learnt of older ones. {cure}, or name another place with --publish DIR; then begin or resume the run."
        ) from error
    return Published(name, final, policy.version, bool(policy.lora))


def fill(policy: Any, path: Path) -> None:
    """The files of an adapter, or of a whole model. OSError where they cannot be written; libraries hide it in others."""
    try:
        if policy.lora:
            adapter(policy, path)
        else:
            state = policy.state() if policy.ranks else saving.state(policy)
            saving.write_model(policy.model, state, path, policy.end_ids)
            policy.tokenizer.save_pretrained(path)
    except Exception as error:  # and raise it again
        if code := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(code.group(1)), os.strerror(int(code.group(1)))) from error
        if not isinstance(error, OSError) and shutil.disk_usage(path).free < 1 << 20:
            raise OSError(errno.ENOSPC, str(error)) from error
        raise


def adapter(policy: Any, path: Path) -> None:
    """What is trained, under peft's names in files."""
    trained = policy.state() if policy.ranks else policy.trained
    adapters.write(trained, policy.lora, str(getattr(policy.model.config, "_name_or_path", "") or ""), path)


def prune(place: Path, keep: Collection[str]) -> None:
    """Remove what is no longer in use, and what a killed process left half-written."""
    for path in place.iterdir() if place.is_dir() else ():
        ours = path.name.startswith(PREFIX) or path.name.endswith(".partial")
        if path.is_dir() and path.name not in keep and ours:
            aside = path.with_name(f"{path.name.removesuffix('.partial')}.partial")
            if aside != path:
                os.rename(path, aside)  # nobody finds half of it
            shutil.rmtree(aside, ignore_errors=True)
