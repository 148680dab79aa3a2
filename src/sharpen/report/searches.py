"""Searches as one page: a table, and accuracy against the tokens that a task costs. No script, and nothing to fetch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from sharpen.report import charts, page
from sharpen.report.markup import Markup
from sharpen.terminal import tables


def render(found: Mapping[str, Any], target: Path) -> Path:
    """Write what `loop.measure_searches` found, and return where it is. UserError where it cannot be written."""
    return page.write(html(found), target)


def html(found: Mapping[str, Any]) -> str:
    """The whole page."""
    rows = found["searches"]
    return page.filled(
        files("sharpen.report"),
        "searches.html.j2",
        found=found,
        columns=tables.SEARCHED,
        rows=[tables.searched_row(row) for row in rows],
        told=tables.searched_told(found),
        chart=chart(found),
        oracle=tables.ORACLE if found["value"] in tables.ORACLES else "",
    )


def chart(found: Mapping[str, Any]) -> Markup:
    """A mark for each search, at the tokens drawn for a task; its axis is in powers of two. The line is the frontier: what
    nothing cheaper reaches."""
    rows = sorted((row for row in found["searches"] if row["accuracy"] is not None), key=lambda row: row["sampled"])
    marks, line, best = [], [], -1.0
    for row in rows:
        x, y = math.log2(max(row["sampled"], 1.0)), row["accuracy"]
        title = f"{row['name']}: {charts.percent(y, 1)} at {row['sampled']:,.0f} tokens drawn, {row['calls']:,.1f} calls a task"
        marks.append(charts.Mark(x, y, title, "ring" if row["name"] in tables.SINGLE else "dot", *row["ci95"]))
        if y > best:
            best = y
            line.append((x, y))
    frontier = charts.Line(line, "k0", steps=True)
    label = "Accuracy against the tokens drawn for a task"
    return charts.plot(
        [frontier], marks, label=label, height=300, form=charts.level, x_name="log2 tokens", bounds=(0.0, 1.0), about=6
    )
