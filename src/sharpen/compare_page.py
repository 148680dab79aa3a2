"""A comparison as one HTML page."""

from pathlib import Path


def render(directory: Path, found) -> Path:
    return directory / "compare.html"
