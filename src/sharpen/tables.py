"""Tables on standard output: aligned for people, tab-separated for programs, and harmless whatever a model wrote."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def show(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """A table on a terminal; elsewhere a line of tab-separated values for each row, after one with the names."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(safe(plain(v))) for v in row))
        Console().print(table)
    else:
        for row in (columns, *rows):
            print("\t".join(safe(plain(v), keep="") for v in row))


def show_accuracy(figures: Mapping[str, Any]) -> None:
    """The accuracy of every arm, and their mean."""
    named = [*figures["arms"].items(), ("all arms", figures)]
    rows = [(name, _percent(f["accuracy"]), _interval(f["ci95"]), f["n"]) for name, f in named if f["n"]]
    show(("arm", "accuracy", "95 %", "tasks"), rows)


def show_change(summary: Mapping[str, Any]) -> None:
    """Test accuracy before and after, arm by arm, of the tasks tried both times. Nothing where a run has not come so far."""
    before, after, difference = summary["before"], summary["after"], summary["difference"]
    if not before or not after or not difference:
        return
    triples = [(arm, before["arms"][arm], after["arms"][arm], change) for arm, change in difference["arms"].items()]
    rows = [
        (
            name,
            _percent(b["accuracy"]),
            _percent(a["accuracy"]),
            f"{100 * d['accuracy']:+.1f}",
            _interval(d["ci95"], "+"),
            d["n"],
        )
        for name, b, a, d in [*triples, ("all arms", before, after, difference)]
    ]
    show(("test split", "before", "after", "points", "95 %", "tasks"), rows)


def plain(value: Any) -> str:
    """A value of the store as text: bytes in hexadecimal, nothing where there is none."""
    return "" if value is None else value.hex() if isinstance(value, bytes) else str(value)


def safe(text: str, keep: str = "\n\t") -> str:
    """Text that cannot steer the terminal it is shown on: a model may write escape sequences."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _interval(ci: Sequence[float], sign: str = "") -> str:
    return " to ".join(f"{100 * x:{sign}.1f}" for x in ci)
