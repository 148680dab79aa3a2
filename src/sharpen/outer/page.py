"""The tree of an evolution as one HTML page: page.html.j2, in the style of the report. It holds no script."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from sharpen.report import page

Found = Mapping[str, Any]  # `evolve.report`


def render(directory: Path, found: Found) -> Path:
    """Write evolve.html into the directory and return where it is."""
    return page.write(html(directory, found), directory / "evolve.html")


def html(directory: Path, found: Found) -> str:
    """The whole page."""
    verdict = str(found["verdict"])
    tone = "better" if verdict.startswith("better") else "worse" if verdict.startswith("worse") else "open"
    return page.filled(
        files("sharpen.outer"),
        name=directory.resolve().name,
        directory=str(directory),
        found=found,
        tone=tone,
        rows=ordered(found["members"]),
    )


def ordered(members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Members as a tree is read, with their `depth`: each before its children, children in the order of their birth."""
    below: dict[int | None, list[dict[str, Any]]] = {}
    for one in members:
        below.setdefault(one["parent"], []).append(one)
    found: list[dict[str, Any]] = []
    open_ = [(one, 0) for one in reversed(below.get(None, []))]
    while open_:
        one, depth = open_.pop()
        found.append({**one, "depth": depth})
        open_ += [(child, depth + 1) for child in reversed(below.get(one["number"], []))]
    return found
