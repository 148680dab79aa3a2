"""What an outer loop has tried so far, as the page shows it: DIR/standing.json, which the loop writes anew after each trial.

The format is in one place, here: `write` is for the loops (`sharpen tune`, `sharpen evolve`), `read` for the page. The file is
data like any other: whoever shows it trusts nothing in it.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.report import Markup
from sharpen.store import asked
from sharpen.view import layouts

NAME = "standing.json"
LARGEST = 1 << 23  # bytes of the file
MOST = 2000  # members that are shown
LONGEST = 400  # characters of a text

NUMBERS = ("trials", "score", "productivity", "gain", "cost")
TEXTS = ("by", "change", "failed")


@dataclass(frozen=True)
class Standing:
    """How an outer loop stands.

    command  "tune" or "evolve"
    done, of trials that were made, and that there are to be
    winner   the number of the member that is best so far; `verdict` what the report says of it, "" before there is one
    members  number, parent (None: nobody), by, change, failed, and as far as they are known NUMBERS: trials; score, the mean
             outcome against the root, or accuracy; productivity, the same of all descendants too; gain; cost, tokens that were
             sampled for one of the root's
    going    whether a process works on it
    """

    name: str
    command: str
    recipe: str
    by: str
    done: int
    of: int
    winner: int | None
    verdict: str
    members: Sequence[Mapping[str, Any]]
    at: float
    going: bool

    @property
    def state(self) -> str:
        return "running" if self.going else "finished" if self.verdict else "stopped"


def write(directory: Path, **found: Any) -> None:
    """Note how it stands: command, recipe, by, done, of, winner, verdict and members, as in `Standing`. Where that cannot be
    written it is not: nothing reads it to decide."""
    part = directory / f"{NAME}.part"
    with suppress(OSError):
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({**found, "at": time.time()}, file)
        part.replace(directory / NAME)


def read(directory: Path) -> Standing:
    """Raises UserError for a file that is none of these."""
    try:
        with os.fdopen(os.open(directory / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found = json.loads(file.read(LARGEST))
        command, recipe, by = (str(found[key])[:LONGEST] for key in ("command", "recipe", "by"))
        done, of, winner, at = int(found["done"]), int(found["of"]), whole(found["winner"]), float(found["at"])
        members = [member(one) for one in found["members"][:MOST]]
        verdict = str(found["verdict"])[:LONGEST]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise UserError(f"{directory / NAME} cannot be read as what an outer loop tried: {type(error).__name__}.") from error
    going = asked.holder(directory) is not None
    return Standing(directory.name, command, recipe, by, done, of, winner, verdict, ordered(members), at, going)


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None


def member(given: Mapping[str, Any]) -> dict[str, Any]:
    """A member with nothing in it but what `Standing` says. Raises KeyError for one without a number."""
    number = whole(given["number"])
    if number is None:
        raise KeyError("number")
    made: dict[str, Any] = {"number": number, "parent": whole(given.get("parent"))}
    made |= {key: str(given.get(key) or "")[:LONGEST] for key in TEXTS}
    for key in NUMBERS:
        value = given.get(key)
        known = isinstance(value, int | float) and math.isfinite(value)
        made[key] = value if known else None
    return made


def ordered(members: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Members as a tree is read, with their `depth`: each before its children, children in the order of their birth. Whoever's
    parent is not there, or is younger, stands at the root."""
    known = {one["number"] for one in members}
    below: dict[int | None, list[Mapping[str, Any]]] = {}
    for one in members:
        parent = one["parent"]
        below.setdefault(parent if parent in known and parent < one["number"] else None, []).append(one)
    found: list[dict[str, Any]] = []
    open_ = [(one, 0) for one in reversed(below.get(None, []))]
    while open_:
        one, depth = open_.pop()
        found.append({**one, "depth": depth})
        open_ += [(child, depth + 1) for child in reversed(below.pop(one["number"], []))]
    return found


def table(members: Sequence[Mapping[str, Any]], winner: int | None, command: str) -> Markup:
    """The tree as HTML, escaped."""
    return Markup(
        layouts.render("tree.html.j2", rows=ordered([member(one) for one in members]), winner=winner, command=command)
    )
