"""Which runs a server shows, by which names, and to whom."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sharpen.view import watching


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Site:
    """The runs that are shown, by the names that addresses have them by; who may look, and whether they may decide."""

    runs: Mapping[str, watching.Watched]
    token: str
    port: int
    decides: bool


def site_of(runs: Sequence[Path], port: int, decides: bool = True, token: str = "") -> Site:
    """Runs by the names of their directories, with a number where two have one name."""
    named: dict[str, watching.Watched] = {}
    for path in runs:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", path.name if path.name != "latest" else path.resolve().name) or "run"
        name = name if name not in ("page.js", "..", ".") else f"run-{name}"
        number = next(n for n in range(1, len(runs) + 2) if (f"{name}-{n}" if n > 1 else name) not in named)
        named[f"{name}-{number}" if number > 1 else name] = watching.Watched(path)
    return Site(named, token or secrets.token_urlsafe(24), port, decides)


def address(site: Site) -> str:
    return f"http://127.0.0.1:{site.port}/?token={site.token}"
