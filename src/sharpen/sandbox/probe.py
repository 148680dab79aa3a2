"""Which isolation this machine offers."""

from __future__ import annotations

import functools
import shutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Probe:
    """level: one of LEVELS. reasons: why it is not stronger, each with its cure."""

    level: str
    reasons: tuple[str, ...] = ()


@functools.cache
def probe() -> Probe:
    if shutil.which("bwrap") is None:
        return Probe("none", ("bubblewrap is not installed: apt-get install bubblewrap",))
    return Probe("full")
