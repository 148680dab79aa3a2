"""A comparison as one HTML page, from what result.py found: page.html.j2, in the style of the report.

Like the report it holds no script and asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.report import Line, Markup, charts, level, page, short
from sharpen.terminal import tables

GRID = np.linspace(0.0, 1.0, 81)  # shares of the budget at which the seeds' curves are averaged
BANDS = 3  # contenders; of more, the chart of all shows no bands
COLOURS = 7
UNITS = {"steps": "step", "tokens": "tokens", "loop seconds": "seconds"}
MEASURES = (
    ("accuracy", "Accuracy on the test split", "points of the kept weights"),
    ("area", "Area under the curve", "points of validation accuracy, averaged over the budget"),
)
TONES = {"better": "rise", "worse": "fall", "no difference shown": "open"}

Found = Mapping[str, Any]  # `compare_result.result`


def render(directory: Path, found: Found) -> Path:
    """Write compare.html into the comparison's directory and return where it is."""
    return page.write(html(directory, found), directory / "compare.html")


def html(directory: Path, found: Found) -> str:
    """The whole page."""
    tone, word, sentence = headline(found)
    contenders = found["contenders"]
    return page.filled(
        files("sharpen.compare"),
        name=directory.resolve().name,
        directory=str(directory),
        found=found,
        budget=f"{found['budget']['amount']:,.0f} {found['budget']['kind']}",
        tone=tone,
        word=word,
        sentence=sentence,
        swatches=[swatch(i) for i in range(len(contenders))],
        rows=[tables.comparison_row(row, found) for row in contenders],
        curves=curves(found),
        forests=[forest(found, *measure) for measure in MEASURES],
        shares=shares(found),
    )


def headline(found: Found) -> tuple[str, str, str]:
    """Tone, word and sentence: what the comparison says at a glance."""
    first, *others = found["contenders"]
    known = [row for row in others if row["versus"]]
    says = {w: [r["name"] for r in known if r["versus"]["accuracy"]["verdict"] == w] for w in TONES}
    if not others:
        return "", first["name"], "There is nothing that it is compared with."
    if not known:
        return "", "Not compared", "Too few runs came to their end: see the notes below."
    sentence = "On the test split, " + "; ".join(
        f"{' and '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}: {word}" for word, names in says.items() if names
    )
    sentence += f", all beside {first['name']}." if len(known) > 1 else f", beside {first['name']}."
    better, worse = len(says["better"]), len(says["worse"])
    if not better and not worse:
        return "", "No difference shown", sentence
    if len(known) == 1:
        return ("better", "Better", sentence) if better else ("worse", "Worse", sentence)
    counted = [f"{n} {w}" for n, w in ((better, "better"), (worse, "worse")) if n]
    return "better" if better else "worse", f"{' and '.join(counted)} of {len(known)}", sentence


def shares(found: Found) -> Mapping[str, Any] | None:
    """What share of a method's gain each of its controls explains, on one scale; None where there is nothing to show."""
    said = [row["explains"] for row in found["contenders"] if row["explains"]]
    known = [one for one in said if one["ci95"]]
    if not said:
        return None
    ends = [v for one in known for v in one["ci95"]] or [0.0]
    levels = charts.ticks(max(min(0.0, *ends), -2.0), min(max(1.0, *ends), 3.0), 6)
    span = (levels[0], levels[-1])
    rows = []
    for one in said:
        chart = Markup("")
        if one["ci95"]:
            low, high = one["ci95"]
            chart = charts.interval(one["value"], low, high, span, title=one["says"], style="open")
        rows.append({"name": f"{one['of']} [{one['control']}]", "chart": chart, "says": one["says"]})
    return {"rows": rows, "scale": scaled(levels)}


def style(number: int) -> str:
    """The class of a contender's line: grey for the first, which the others are compared with."""
    if number == 0:
        return "base"
    return f"k{(number - 1) % COLOURS}{' dashed' * (number > COLOURS)}"


def swatch(number: int) -> str:
    return f"c{(number - 1) % COLOURS}" if number else "base-swatch"


def curves(found: Found) -> Sequence[tuple[str, Markup]]:
    """A chart of all contenders; where these are many, also one for each beside the first, with the range of its seeds."""
    contenders = found["contenders"]
    runs = [[run["curve"] for run in row["runs"] if run["curve"]] for row in contenders]
    drawn = [(row["name"], *average(made, found["budget"]["amount"])) for row, made in zip(contenders, runs) if made]
    numbers = [i for i, made in enumerate(runs) if made]
    lines = [Line(line, style(i), band) for i, (_, line, band) in zip(numbers, drawn)]
    few = len(lines) <= BANDS

    ends = [v for one in lines for band in one.band for v in band[1:]]

    def chart(chosen: Sequence[Line], label: str, height: int, covers: Sequence[float] = ()) -> Markup:
        unit, bounds = UNITS[found["budget"]["kind"]], (0.0, 1.0)
        return charts.plot(
            chosen, label=label, height=height, form=level, x_name=unit, bounds=bounds, about=height // 50, covers=covers
        )

    every = lines if few else [Line(one.points, one.style) for one in lines]
    made = [("", chart(every[::-1], "Validation accuracy of the kept weights over the budget", 300))]  # the first on top
    if not few and numbers[:1] == [0]:
        made += [
            (name, chart([lines[0], line], f"{name} beside {drawn[0][0]}", 150, ends))
            for (name, _, _), line in zip(drawn[1:], lines[1:])
        ]
    return made


def average(runs: Sequence[Any], amount: float) -> tuple[list[tuple[float, float]], list[tuple[float, float, float]]]:
    """The mean of the curves of a contender's runs, and the range from its lowest to its highest seed."""
    stack = np.stack([np.interp(GRID, *np.array([(p[0], p[4]) for p in run]).T) for run in runs])
    xs = [float(x) for x in GRID * amount]
    line = list(zip(xs, stack.mean(axis=0).tolist(), strict=True))
    band = list(zip(xs, stack.min(axis=0).tolist(), stack.max(axis=0).tolist(), strict=True))
    return line, band if len(stack) > 1 else []


def forest(found: Found, measure: str, title: str, meaning: str) -> Mapping[str, Any]:
    """Paired differences to the first contender, a row each, on one scale."""
    rows = [(row["name"], row["versus"][measure]) for row in found["contenders"] if row["versus"]]
    ends = [v for _, d in rows for v in (d["ci95"][0], d["ci95"][1])] or [0.0]
    levels = charts.ticks(min(min(ends), 0.0), max(max(ends), 0.0), 6)
    span = (levels[0], levels[-1])
    shown = []
    for name, d in rows:
        low, high = d["ci95"]
        numbers = f"{100 * d['value']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        chart = charts.interval(d["value"], low, high, span, title=f"{name}: {numbers}", style=TONES[d["verdict"]])
        p = "p < 0.001" if d["p_corrected"] < 0.001 else f"p = {d['p_corrected']:.2g}"
        shown.append({"name": name, "chart": chart, "numbers": numbers, "p": p, "verdict": d["verdict"]})
    return {"title": title, "meaning": meaning, "rows": shown, "scale": scaled(levels)}


def scaled(levels: Sequence[float]) -> list[tuple[str, str]]:
    """Where each of some values stands on a scale from the first to the last, and what it is in hundredths."""
    low, high = levels[0], levels[-1]
    return [(f"{100 * (v - low) / (high - low):.2f}%", short(round(100 * v, 6)).replace("-", "\u2212")) for v in levels]
