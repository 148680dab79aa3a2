"""Tables on standard output: aligned for people, tab-separated for programs, and harmless whatever a model wrote."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

PARTS = ("correct", "wrong", "malformed", "cut_off")  # of all judged answers, each counted once
LONGEST = 600  # characters of an answer that are shown
QUESTION = 120  # and of its question


def show(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """A table on a terminal; elsewhere a line of tab-separated values for each row, after one with the names."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(safe(plain(v))) for v in row))
        Console(emoji=False).print(table)
    else:
        for row in (columns, *rows):
            print("\t".join(safe(plain(v), keep="") for v in row))


def say(text: str, file: TextIO | None = None) -> None:
    """Text for people, whatever stands in it."""
    print(safe(text), file=file or sys.stdout)


def show_evaluation(figures: Mapping[str, Any]) -> None:
    """How the answers of every arm came out, what is wrong with them, and some of them verbatim."""
    several = [name for name in figures if name.startswith(("pass@", "maj@")) and name != "pass@1"]
    columns = ("arm", "right", "95 %", *several, "wrong", "malformed", "cut off", "readable", "right of readable", "tasks")
    total = {**figures, **figures["share"], **dict.fromkeys(several)}
    named = [*figures["arms"].items()]
    if len(named) > 1 and _differ(figures):
        named += [("mean over arms", {**figures, "outcomes": None, "readable": None, "right_of_readable": None})]
    if len(named) > 1:
        named += [("all answers", total)]
    show(columns, [_evaluated(name, f, several) for name, f in named if f["n"]])
    if "asked" in figures:
        say(f"\nasked {figures['asked']}")
    if figures.get("turns"):
        show_turns(figures["turns"], figures.get("feedback", ""))
    show_findings(figures)


ORACLES = ("verifier", "playouts")
ORACLE = "What chose knows the right answer: this is an upper bound of what a search could reach, and no accuracy of the model."
SINGLE = ("greedy", "drawn once")  # what searches are held against
SEARCHED = ("search", "right", "95 %", "over greedy", "95 %", "tokens drawn", "tokens read", "calls", "seconds", "tasks")


def searched_row(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A search's line in a table: tokens and calls of a task, seconds of all."""
    costs = (f"{row['sampled']:,.0f}", f"{row['read']:,.0f}", f"{row['calls']:,.1f}", f"{row['seconds']:,.1f}")
    right = (_known(row["accuracy"]), _interval(row["ci95"]) if row["ci95"] else "")
    gain = (
        ("", "") if row["name"] == "greedy" or row["gain"] is None else (f"{100 * row['gain']:+.1f}", _signed(row["gain_ci95"]))
    )
    return (row["name"], *right, *gain, *costs, row["n"])


def searched_told(figures: Mapping[str, Any]) -> tuple[str, str]:
    """(the search that gains most of those whose gain is more than chance, what it gains); of none, that."""
    greedy, *_ = rows = figures["searches"]
    sure = [row for row in rows if row["name"] not in SINGLE and row["gain"] is not None and row["gain_ci95"][0] > 0]
    if not sure:
        return (
            "No gain is shown",
            f"by any of these over one greedy answer, chosen by {figures['value']}, on {greedy['n']} tasks.",
        )
    best = max(sure, key=lambda row: (row["gain"], -row["sampled"]))
    times = best["sampled"] / max(greedy["sampled"], 1e-9)
    gain = f"{100 * best['gain']:+.1f} points over one greedy answer ({_signed(best['gain_ci95'])})"
    return best["name"], f"gains {gain}, chosen by {figures['value']}, for {times:,.1f} times the tokens."


def show_searches(figures: Mapping[str, Any]) -> None:
    """What each search reached, and what it cost."""
    show(SEARCHED, [searched_row(row) for row in figures["searches"]])
    say(f"\n{' '.join(searched_told(figures))}")
    say(f"\nasked {figures['asked']}; tokens and calls of a task, seconds of all")
    if figures["value"] in ORACLES:
        say(f"\n{ORACLE}")


def show_turns(found: Mapping[str, Any], feedback: str) -> None:
    """What each attempt changed of the one before."""
    right = [_percent(e["value"]) for e in found["accuracy"]]
    say(f"\nafter each attempt ({feedback}): {', '.join(right)} right")
    columns = ("attempts", "gain", "95 %", "right to wrong", "wrong to right", "confidence", "critique", "copies")
    rows = []
    for n, flow in enumerate(found["between"], 1):
        gain = flow["gain"]
        shares = [_known(flow[key]["value"]) for key in ("confidence_level", "critique_score", "copies")]
        counts = (flow["right_to_wrong"], flow["wrong_to_right"])
        rows.append((f"{n} to {n + 1}", f"{100 * gain['value']:+.1f}", _signed(gain["ci95"]), *counts, *shares))
    show(columns, rows)


def _signed(ci: Sequence[float]) -> str:
    return f"{100 * ci[0]:+.1f} to {100 * ci[1]:+.1f}"


def show_findings(figures: Mapping[str, Any]) -> None:
    """What is wrong with some answers, and some of them verbatim."""
    for finding in figures["findings"]:
        say(f"\n{finding}")
    for example in figures["examples"]:
        say(f"\n{said(example)}")


def said(example: Mapping[str, Any]) -> str:
    """An answer as it was given, under its question."""
    question = example["prompt"][-1].get("content", "") if example["prompt"] else ""
    response = example["response"]
    left = len(response) - LONGEST
    more = f" … ({left:,} more characters)" if left > 0 else ""
    head = f"{example['arm']}, {example['came_out'].replace('_', ' ')}: {' '.join(str(question).split())[:QUESTION]}"
    return "\n".join([head, *(f"  | {line}" for line in ((response[:LONGEST] + more) or "(nothing)").splitlines())])


def _evaluated(name: str, f: Mapping[str, Any], several: Sequence[str]) -> tuple[Any, ...]:
    outcomes = f["outcomes"]
    judged = sum(outcomes[key] for key in PARTS) if outcomes else 0
    shares = [_percent(outcomes[key] / judged) if judged else "" for key in PARTS[1:]]
    more = [_known(f[key]["value"]) if f.get(key) else "" for key in several]
    read = [_known(f[key]["value"]) if f[key] else "" for key in ("readable", "right_of_readable")]
    return (name, _percent(f["accuracy"]), _interval(f["ci95"]), *more, *shares, *read, f["n"])


def _differ(figures: Mapping[str, Any]) -> bool:
    """Whether the mean over arms is another figure than the share of all answers, as both are shown."""
    return bool(figures["share"]["n"]) and _percent(figures["accuracy"]) != _percent(figures["share"]["accuracy"])


def show_change(summary: Mapping[str, Any]) -> None:
    """Test accuracy before and after, arm by arm, of the tasks tried both times, and how the answers came out; of a run that
    has not come so far, what is known before."""
    before, after, difference = summary["before"], summary["after"], summary["difference"]
    if summary.get("stream"):
        show_stream(summary["stream"])
    if before and not after:
        show_evaluation(before)
    if not before or not after or not difference:
        return
    triples = [(arm, before["arms"][arm], after["arms"][arm], change) for arm, change in difference["arms"].items()]
    together = [("all arms", before, after, difference)]
    if _differ(before) or _differ(after):
        together = [
            ("mean over arms", before, after, difference),
            ("all answers", before["share"], after["share"], difference["share"]),
        ]
    rows = [
        (
            name,
            _percent(b["accuracy"]),
            _percent(a["accuracy"]),
            f"{100 * d['accuracy']:+.1f}",
            _interval(d["ci95"], "+"),
            *_came_out(b, a),
            d["n"],
        )
        for name, b, a, d in [*triples, *together]
    ]
    show(("test split", "before", "after", "points", "95 %", "wrong", "malformed", "cut off", "readable", "tasks"), rows)
    for sentence in difference["says"]:
        say(sentence)
    for when, found in summary.get("turns", {}).items():
        if found:
            show_turns(found, f"{when} the loop")
    show_findings(after)


def show_stream(found: Mapping[str, Any]) -> None:
    """The accuracy matrix of a run over task sets, a row after each, and what it comes to."""
    rows = [("before", found["start"]), *(("after " + name, row) for name, row in zip(found["sets"], found["matrix"]))]
    show(("validation", *found["sets"]), [(name, *map(_percent, row)) for name, row in rows])
    numbers = found["numbers"] or {}
    told = [f"{n.replace('_', ' ')} {100 * numbers[n]:.1f}" for n in STREAM if numbers.get(n) is not None]
    if told:
        say(f"In points: {', '.join(told)}.")


STREAM = ("average", "worst_case", "forgetting", "backward_transfer", "forward_transfer", "stability_gap")


def _came_out(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Shares before and after: wrong, malformed, cut off, readable."""
    counts = [f["outcomes"] for f in (before, after) if f.get("outcomes")]
    if len(counts) < 2:
        return [""] * 4
    judged = [max(sum(c[key] for key in PARTS), 1) for c in counts]
    return [" → ".join(f"{100 * c[key] / n:.0f}" for c, n in zip(counts, judged)) + " %" for key in (*PARTS[1:], "readable")]


def show_comparison(found: Mapping[str, Any]) -> None:
    """A comparison's contenders, a row each, then what is claimed and what has to be known."""
    rows = [comparison_row(row, found) for row in found["contenders"]]
    show(("recipe", "accuracy", "95 %", "gain", "area", "95 %", f"to {_known(found['target'])}", "tokens", "steps"), rows)
    for row in found["contenders"]:
        for measure in row["versus"] or {}:
            print(safe(f"{row['name']}: {row['versus'][measure]['says']}"))
    for row in found["contenders"]:
        if row["explains"]:
            print(safe(row["explains"]["says"][:1].upper() + row["explains"]["says"][1:]))
    for note in found["notes"]:
        print(safe(f"Note: {note}"))


def comparison_row(row: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """What one contender reached, as text."""
    accuracy, area, gain, to = row["accuracy"], row["area"], row["gain"], row["to_target"]
    clock = found["budget"]["kind"] == "loop seconds"
    middle = to["seconds" if clock else found["budget"]["kind"]]
    when = "not reached" if middle is None else f"{middle:,.0f}{' s' if clock else ''}"
    when = "met at the start" if to["at_start"] else when
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
