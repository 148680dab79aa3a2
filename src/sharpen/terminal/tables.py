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


def show_comparison(found: Mapping[str, Any]) -> None:
    """A comparison's contenders, a row each, then what is claimed and what has to be known."""
    rows = [comparison_row(row, found) for row in found["contenders"]]
    show(("recipe", "accuracy", "95 %", "gain", "area", "95 %", f"to {_known(found['target'])}", "tokens", "steps"), rows)
    for row in found["contenders"]:
        for measure in row["versus"] or {}:
            print(safe(f"{row['name']}: {row['versus'][measure]['says']}"))
    for note in found["notes"]:
        print(safe(f"Note: {note}"))


def comparison_row(row: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """What one contender reached, as text."""
    accuracy, area, gain, to = row["accuracy"], row["area"], row["gain"], row["to_target"]
    clock = found["budget"]["kind"] == "loop seconds"
    middle = to["seconds" if clock else found["budget"]["kind"]]
    when = "not reached" if middle is None else f"{middle:,.0f}{' s' if clock else ''}"
    return (
        row["name"],
        _known(accuracy["value"]),
        _interval(accuracy["ci95"]) if accuracy["ci95"] else "",
        f"{100 * gain['value']:+.1f}" if gain else "",
        _known(area["value"]),
        _interval(area["ci95"]) if area["ci95"] else "",
        f"{when} ({to['reached']} of {to['of']})",
        f"{row['tokens']:,.0f}" if row["tokens"] is not None else "",
        f"{row['steps']:,.0f}" if row["steps"] is not None else "",
    )


def plain(value: Any) -> str:
    """A value of the store as text: bytes in hexadecimal, nothing where there is none."""
    return "" if value is None else value.hex() if isinstance(value, bytes) else str(value)


def safe(text: str, keep: str = "\n\t") -> str:
    """Text that cannot steer the terminal it is shown on: a model may write escape sequences."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def _known(share: float | None) -> str:
    return "" if share is None else _percent(share)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _interval(ci: Sequence[float], sign: str = "") -> str:
    return " to ".join(f"{100 * x:{sign}.1f}" for x in ci)
