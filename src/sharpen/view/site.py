"""Which runs a server shows, by which names, and to whom."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sharpen.view import watching

TAKEN = ("page.js", "loops", "..", ".")  # by addresses of another kind


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Site:
    """The runs that are shown, and the directories of outer loops, by the names that addresses have them by; who may look, and
    whether they may decide."""

    runs: Mapping[str, watching.Watched]
    token: str
    port: int
    decides: bool
    loops: Mapping[str, Path] = field(default_factory=dict)


def site_of(runs: Sequence[Path], port: int, decides: bool = True, token: str = "", loops: Sequence[Path] = ()) -> Site:
    """Runs, and outer loops, by the names of their directories, with a number where two have one name."""
    watched = {name: watching.Watched(path) for name, path in named(runs).items()}
    return Site(watched, token or secrets.token_urlsafe(24), port, decides, named(loops))


def named(paths: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", path.name if path.name != "latest" else path.resolve().name) or "run"
        name = name if name not in TAKEN else f"run-{name}"
        number = next(n for n in range(1, len(paths) + 2) if (f"{name}-{n}" if n > 1 else name) not in found)
        found[f"{name}-{number}" if number > 1 else name] = path
    return found


def address(site: Site) -> str:
    return f"http://127.0.0.1:{site.port}/?token={site.token}"
