"""Charts as inline SVG: pure functions from numbers to markup, with no script and nothing to fetch.

1. Horizontal places are percentages and vertical places pixels, so a chart fills any width while its text keeps its size.
2. Lines live in a nested SVG that is stretched sideways (`vector-effect` in the style sheet keeps their width).
3. Colours are classes of the page's style sheet, so that light, dark and print differ only there.
4. Every mark carries a <title>: the numbers behind it, shown on hover and read out by screen readers.

Whatever is put into markup goes through `Markup.format`, which escapes it (markup.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sharpen.report.markup import Markup

STRETCH = 1000  # width, in user units, of the nested SVG that holds lines


@dataclass(frozen=True)
class Line:
    """One line: points (x, y) in data units, an optional band (x, low, high), and the class that colours it."""

    points: Sequence[tuple[float, float]]
    style: str
    band: Sequence[tuple[float, float, float]] = ()
    steps: bool = False  # hold each value until the next point


@dataclass(frozen=True)
class Mark:
    """One measured point, with an interval where there is one. `shape` is dot, ring or cross."""

    x: float
    y: float
    title: str
    shape: str = "dot"
    low: float | None = None
    high: float | None = None


def percent(value: float, digits: int = 0) -> str:
    """0.4567 -> '46 %' (thin space, as figures and units are set)."""
    return f"{100 * value:.{digits}f}\u202f%"


def level(value: float) -> str:
    """A share on an axis, as exact as it is round: 0.5 -> '50 %', 0.005 -> '0.5 %'."""
    return f"{100 * value:.3g}\u202f%"


def short(value: float) -> str:
    """A number in few characters: 1234567 -> '1.23M', 0.00012 -> '1.2e-04', 3.0 -> '3'."""
    size = abs(value)
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{value / unit:.3g}{name}"
    if size == 0:
        return "0"
    return f"{value:.3g}" if size >= 1e-3 else f"{value:.1e}"


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that cover [low, high]; the outer ones may lie outside it."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high - low > 1e-9 * max(abs(low), abs(high)):  # means of one constant differ in their last bits
        return low, high
    return (min(0.0, 2 * low), max(0.0, 2 * low)) if low else (0.0, 1.0)


def _path(points: Sequence[tuple[float, float]], steps: bool = False) -> str:
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    parts += [f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f} {y:.1f}" for x, y in points[1:]]
    return "".join(parts) if len(points) > 1 else parts[0] + "h0.1"  # a lone point would be an empty path


def _axis(levels: Sequence[float], y: Callable[[float], float], height: int, form: Callable[[float], str]) -> Markup:
    labels = [Markup('<text x="100%" y="{:.1f}" dy=".32em" text-anchor="end">{}</text>').format(y(v), form(v)) for v in levels]
    return Markup('<svg class="axis" height="{}" aria-hidden="true">{}</svg>').format(height, Markup("").join(labels))


def _mark(mark: Mark, x: Callable[[float], float], y: Callable[[float], float]) -> Markup:
    left, top = f"{x(mark.x):.2f}%", y(mark.y)
    interval = Markup("")
    if mark.low is not None and mark.high is not None:
        interval = Markup('<line class="whisker" x1="{0}" x2="{0}" y1="{1:.1f}" y2="{2:.1f}"/>').format(
            left, y(mark.low), y(mark.high)
        )
    if mark.shape == "cross":
        # A nested SVG places a path, which knows no percentages, at one.
        shape = Markup('<svg x="{}" y="{:.1f}" overflow="visible"><path d="M-4-4L4 4M-4 4L4-4"/></svg>').format(left, top)
    else:
        shape = Markup('<circle cx="{}" cy="{:.1f}" r="4"/>').format(left, top)
    target = Markup('<circle class="target" cx="{}" cy="{:.1f}" r="11"/>').format(left, top)
    return Markup('<g class="mark {}"><title>{}</title>{}{}{}</g>').format(mark.shape, mark.title, interval, shape, target)


def _line(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> Markup:
    def place(a: float, b: float) -> tuple[float, float]:
        return x(a) * STRETCH / 100, y(b)

    band, path = Markup(""), Markup("")
    if line.band:
        edge = [place(a, high) for a, _, high in line.band] + [place(a, low) for a, low, _ in line.band[::-1]]
        band = Markup('<path class="band {}" d="{}Z"/>').format(line.style, _path(edge))
    if line.points:
        path = Markup('<path class="line {}" d="{}"/>').format(
            line.style, _path([place(a, b) for a, b in line.points], line.steps)
        )
    return Markup("").join((band, path))


def plot(
    lines: Sequence[Line],
    marks: Sequence[Mark] = (),
    *,
    label: str,
    height: int = 150,
    form: Callable[[float], str] = short,
    x_name: str = "step",
    span: tuple[float, float] | None = None,
    bounds: tuple[float, float] | None = None,
    about: int = 4,
    covers: Sequence[float] = (),
) -> Markup:
    """A line chart. Without any point it says so instead.

    covers holds values of y that are in its range at least, so that charts side by side have one scale; bounds is the widest
    range that y may show (0 and 1 for shares); span the range of x, where it is not that of the points.
    """
    xs = [p[0] for line in lines for p in line.points] + [m.x for m in marks]
    ys = [p[1] for line in lines for p in line.points] + [v for line in lines for b in line.band for v in b[1:]]
    ys += [v for m in marks for v in (m.y, m.low, m.high) if v is not None]
    if not xs:
        return Markup('<p class="none">Nothing measured yet.</p>')
    xs += span or ()
    ys += covers
    low, high = _span(ys)
    left, right = (min(xs), max(xs)) if len(set(xs)) > 1 else (xs[0] - 1, xs[0] + 1)
    if bounds:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    levels = ticks(low, high, about)
    top, bottom = 10.0, height - 24.0

    def x(value: float) -> float:
        return 100 * (value - left) / (right - left)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (min(max(value, levels[0]), levels[-1]) - levels[0]) / (levels[-1] - levels[0])

    grid = [Markup('<line class="grid" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>').format(y(v)) for v in levels]
    ends = [(left, "0", "start"), (right, "100%", "end")] if len(set(xs)) > 1 else [(xs[0], "50%", "middle")]
    feet = [
        Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(at, height - 6, anchor, f"{x_name} {short(value)}")
        for value, at, anchor in ends
    ]
    return Markup(
        '<div class="plot">{}<svg class="canvas" height="{}" role="img" aria-label="{}">{}'
        '<svg width="100%" height="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" overflow="visible">{}</svg>'
        "{}{}</svg></div>"
    ).format(
        _axis(levels, y, height, form),
        height,
        label,
        Markup("").join(grid),
        height,
        STRETCH,
        height,
        Markup("").join(_line(line, x, y) for line in lines),
        Markup("").join(_mark(m, x, y) for m in marks),
        Markup("").join(feet),
    )


def dumbbell(before: tuple[float, float, float] | None, after: tuple[float, float, float] | None, title: str) -> Markup:
    """One row on a 0 to 100 % track: a ring for before, a dot for after, each (value, low, high) with its interval."""
    parts = [Markup('<line class="grid" x1="{0}%" x2="{0}%" y1="0" y2="30"/>').format(at) for at in (0, 25, 50, 75, 100)]
    if before and after:
        way = "rise" if after[0] >= before[0] else "fall"
        parts.append(
            Markup('<line class="bar {}" x1="{:.2f}%" x2="{:.2f}%" y1="15" y2="15"/>').format(
                way, 100 * before[0], 100 * after[0]
            )
        )
    for name, at, y in (("before", before, 19), ("after", after, 11)):
        if at:
            value, low, high = (100 * v for v in at)
            whisker = '<line class="whisker" x1="{:.2f}%" x2="{:.2f}%" y1="{}" y2="{}"/>'
            parts.append(
                Markup('<g class="' + name + '">' + whisker + '<circle cx="{:.2f}%" cy="{}" r="4.5"/></g>').format(
                    low, high, y, y, value, y
                )
            )
    return Markup('<svg class="canvas" height="30" role="img" aria-label="{0}"><title>{0}</title>{1}</svg>').format(
        title, Markup("").join(parts)
    )


def interval(value: float, low: float, high: float, span: tuple[float, float], *, title: str, style: str) -> Markup:
    """One row of a forest plot: a dot with its interval beside a line at 0. What lies outside the span is cut off there."""

    def place(at: float) -> str:
        return f"{100 * (min(max(at, span[0]), span[1]) - span[0]) / (span[1] - span[0]):.2f}%"

    return Markup(
        '<svg class="canvas" height="26" role="img" aria-label="{0}"><title>{0}</title>'
        '<line class="zero" x1="{1}" x2="{1}" y1="0" y2="26"/><g class="{2}"><line x1="{3}" x2="{4}" y1="13" y2="13"/>'
        '<circle cx="{5}" cy="13" r="5"/></g></svg>'
    ).format(title, place(0.0), style, place(low), place(high), place(value))


def heat(rows: Sequence[Sequence[float | None]], titles: Sequence[Sequence[str]], *, label: str, cell: int = 18) -> Markup:
    """Cells shaded from nothing (0) to full (the largest value); None leaves a cell out. Rows must be equally long."""
    largest = max((v for row in rows for v in row if v is not None), default=0.0) or 1.0
    wide = 100 / max(len(rows[0]), 1)
    cells = [
        Markup('<rect x="{:.3f}%" y="{}" width="{:.3f}%" height="{}" fill-opacity="{:.3f}"><title>{}</title></rect>').format(
            j * wide, i * cell + 1, wide, cell - 2, value / largest, titles[i][j]
        )
        for i, row in enumerate(rows)
        for j, value in enumerate(row)
        if value is not None
    ]
    return Markup('<svg class="heat" width="100%" height="{}" role="img" aria-label="{}">{}</svg>').format(
        cell * len(rows), label, Markup("").join(cells)
    )


def spark(points: Sequence[tuple[float, float]], height: int = 28) -> Markup:
    """A line without axes, as high as its own range; nothing for fewer than two points."""
    if len(points) < 2:
        return Markup("")
    (left, right), (low, high) = (points[0][0], points[-1][0]), _span([y for _, y in points])
    wide, tall = (right - left) or 1.0, (high - low) or 1.0
    placed = [(STRETCH * (x - left) / wide, height - 2 - (height - 4) * (y - low) / tall) for x, y in points]
    return Markup(
        '<svg class="spark" height="{0}" viewBox="0 0 {1} {0}" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="line" d="{2}"/></svg>'
    ).format(height, STRETCH, _path(placed))


def stacked(parts: Sequence[tuple[str, float, str]], *, label: str, height: int = 22) -> Markup:
    """One bar of shares that sum to 1; parts are (class, share, title)."""
    left, drawn = 0.0, []
    for style, share, title in parts:
        drawn.append(
            Markup('<rect class="{}" x="{:.3f}%" y="0" width="{:.3f}%" height="{}"><title>{}</title></rect>').format(
                style, 100 * left, 100 * share, height, title
            )
        )
        left += share
    return Markup('<svg class="stack" width="100%" height="{}" role="img" aria-label="{}">{}</svg>').format(
        height, label, Markup("").join(drawn)
    )
