"""The rows of a .csv or .tsv: UTF-8, the first line names the columns, and cells are parted by the mark that the lines have."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sharpen.core import UserError

LONGEST_ROW = 64 * 2**20  # characters of one cell
MARKS = ",;\t|"


def cells_in(file: io.TextIOWrapper, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of the line that it ends on, {column: cell}) of every row. UserError, with the place and the cure."""
    first = [line for line in (file.readline(LONGEST_ROW) for _ in range(5)) if line]
    mark = mark_of(first)
    before = csv.field_size_limit(LONGEST_ROW)
    try:
        lines: list[str] = []  # that the row in hand was read from
        reader = csv.reader(_kept(itertools.chain(first, file), lines), delimiter=mark)
        names = next(reader, [])
        names = [name.strip() for name in names]
        if len(names) == 6 and names[5] in ("A", "B", "C", "D"):  # MMLU's own files name no columns
            yield 1, dict(zip(("question", "A", "B", "C", "D", "answer"), names))
            names = ["question", "A", "B", "C", "D", "answer"]
        if twice := next((name for name in names if name and names.count(name) > 1), None):
            raise UserError(f"{path}: two columns are called {twice!r}. Rename one.")
        for cells in _ended(reader, lines, mark, path):
            value = {name: cell for name, cell in zip(names, cells) if name and cell.strip()}
            if not value and not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(names):
                raise UserError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, and the first line names {len(names)} columns. "
                    f"Put a cell that holds {mark!r} in quotes."
                )
            yield reader.line_num, value
    except csv.Error as e:
        raise UserError(f"{path}: broken CSV: {e}.") from e
    finally:
        csv.field_size_limit(before)


def _kept(lines: Iterator[str], kept: list[str]) -> Iterator[str]:
    for line in lines:
        kept.append(line)
        yield line


def _ended(reader: Any, lines: list[str], mark: str, path: Path) -> Iterator[list[str]]:
    """The rows of a reader. UserError where the last one's quote was never closed: it swallowed all that stood behind it."""
    lines.clear()
    before = 0  # lines of the row before
    for cells in reader:
        del lines[:before]
        before = len(lines)
        yield cells
    try:
        list(csv.reader(lines, delimiter=mark, strict=True))
    except csv.Error as e:
        if "unexpected end" in str(e):
            first = reader.line_num - len(lines) + 1
            raise UserError(f"{path}, line {first}: a quote is opened and never closed. Close it, or double it.") from e


def mark_of(first: Sequence[str]) -> str:
    """What parts the cells of these lines: a mark that all have equally often, or else the one that the first has most."""
    counts = {mark: [re.sub(r'"[^"]*"', "", line).count(mark) for line in first if line.strip()] or [0] for mark in MARKS}
    return max(MARKS, key=lambda mark: (min(counts[mark]) == max(counts[mark]) > 0, counts[mark][0]))
