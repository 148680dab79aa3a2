"""The tree of an evolution as one HTML page: page.html.j2, in the style of the report. It holds no script."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from sharpen.report import page
from sharpen.view import trees

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
        tree=trees.table(found["members"], found["winner"], "evolve"),
    )
