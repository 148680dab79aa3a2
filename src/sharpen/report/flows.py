"""From attempt to attempt: what a second try mends and what it spoils, as numbers and as a picture of the flow between turns.

Only runs whose verdicts note every attempt (`verify.each_turn`) have it. A run's own report counts the answers to its test
split.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.estimate import Estimate
from sharpen.report.charts import STRETCH, percent, short
from sharpen.report.markup import Markup
from sharpen.report.points import points
from sharpen.store import Store
from sharpen.verify import turns

HEIGHT, BAR = 150, 26  # pixels, and user units of STRETCH
SQL = """
SELECT r.turns, r.more, v.parts FROM rollouts r JOIN verdicts v ON v.rollout = r.id
WHERE r.purpose = ? AND r.round = (SELECT max(round) FROM rollouts WHERE purpose = ?) AND v.parts LIKE '%"turn 1"%'
"""
KINDS = (
    ("kept", "right, and right again"),
    ("spoilt", "right, then wrong"),
    ("mended", "wrong, then right"),
    ("stuck", "wrong, and wrong again"),
)


def episodes(store: Store, purpose: str) -> Sequence[turns.Episode]:
    """The latest evaluation's answers of this purpose, attempt by attempt; empty where these were not noted."""
    found = []
    for said, more, parts in map(tuple, store.rows(SQL, (purpose, purpose))):
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        made = turns.episode(json.loads(parts), json.loads(text), tokens(more))
        found += [made] if made else []
    return found


def tokens(more: str | None) -> list[int]:
    """Tokens that the student sampled in each of its turns; none where the store notes one turn only."""
    kept = json.loads(more) if more else {}
    spans = [*kept.get("spans", ()), *(span for other in kept.get("others", ()) for span in other[-1])]
    count: dict[int, int] = {}
    for start, stop, author, _, turn, *_ in spans:
        if not author:
            count[turn] = stop - start
    return [count[turn] for turn in sorted(count)]


def section(found: Mapping[str, Sequence[turns.Episode]]) -> Mapping[str, Any] | None:
    """What the page shows: a picture before and after the loop, and a row for each two turns. None where nobody tried twice."""
    shown = {name: turns.between(made) for name, made in found.items()}
    if not any(shown.values()):
        return None
    return {
        "key": KINDS,
        "pictures": [
            {
                "when": "after" if name == "test" else "before",
                "n": len(found[name]),
                "chart": picture(flows, curve(found[name])),
            }
            for name, flows in shown.items()
            if flows
        ],
        "rows": [
            {
                "name": f"{'after' if name == 'test' else 'before'}, {n} → {n + 1}",
                "gain": _points(flow.gain),
                "spoilt": f"{flow.spoilt:,}",
                "mended": f"{flow.mended:,}",
                "confidence": _share(flow.confidence),
                "critique": _share(flow.critique),
                "relative": "–" if flow.relative is None else f"{flow.relative:.2f}",
                "copies": _share(flow.copies),
                "distance": f"{flow.distance / flow.compared:.2f}" if flow.compared else "–",
                "cost": "–" if flow.tokens_per_point is None or not flow.tokens else f"{flow.tokens_per_point:.2g}",
            }
            for name, flows in shown.items()
            for n, flow in enumerate(flows, 1)
        ],
    }


def curve(made: Sequence[turns.Episode]) -> Sequence[Estimate]:
    return turns.curve(made)


def _share(e: Estimate | None) -> str:
    return percent(e.value) if e else "–"


def _points(e: Estimate | None) -> str:
    return f"{points(e.value)} ({points(e.low)} to {points(e.high)})" if e else "–"


def picture(flows: Sequence[turns.Flow], accuracies: Sequence[Estimate]) -> Markup:
    """A column for each turn, right answers above wrong ones, and between two columns four bands, as wide as they are many."""
    n = max(flows[0].n, 1)
    unit = HEIGHT / n
    step = (STRETCH - BAR) / len(flows)
    drawn = []
    for i, flow in enumerate(flows):
        left, right = i * step + BAR, (i + 1) * step
        before, after = 0.0, 0.0
        # From above: on the left kept and spoilt are right, mended and stuck wrong; on the right kept and mended come first.
        tops = {"kept": 0, "mended": flow.kept, "spoilt": flow.kept + flow.mended, "stuck": n - flow.stuck}
        for kind, said in KINDS:
            count = getattr(flow, kind)
            after = tops[kind] * unit
            if count:
                drawn.append(_band(left, right, before, after, count * unit, kind, f"{said}: {count:,} of {n:,}"))
            before += count * unit
    for i, accuracy in enumerate(accuracies[: len(flows) + 1]):
        high = accuracy.value * HEIGHT
        for style, y, size, said in (("right", 0.0, high, "right"), ("wrong", high, HEIGHT - high, "wrong")):
            share = percent(accuracy.value if style == "right" else 1 - accuracy.value, 1)
            drawn.append(
                Markup('<rect class="t-{}" x="{:.1f}" y="{:.2f}" width="{}" height="{:.2f}"><title>{}</title></rect>').format(
                    style, i * step, y, BAR, size, f"attempt {i + 1}: {share} {said}"
                )
            )
    said = ", ".join(f"attempt {i}: {percent(e.value, 1)} right" for i, e in enumerate(accuracies, 1))
    inside = Markup('<svg viewBox="0 0 {} {}" width="100%" height="{}" preserveAspectRatio="none">{}</svg>').format(
        STRETCH, HEIGHT, HEIGHT, Markup("").join(drawn)
    )
    words = [
        Markup('<text x="{:.2f}%" y="{}" text-anchor="{}">{}</text>').format(
            100 * (i * step + BAR / 2) / STRETCH, HEIGHT + 16, _anchor(i, len(flows)), f"{i + 1}: {percent(e.value, 1)}"
        )
        for i, e in enumerate(accuracies[: len(flows) + 1])
    ]
    return Markup('<svg class="flow" width="100%" height="{}" role="img" aria-label="{}">{}{}</svg>').format(
        HEIGHT + 22, said, inside, Markup("").join(words)
    )


def _anchor(i: int, last: int) -> str:
    return "start" if i == 0 else "end" if i == last else "middle"


def _band(left: float, right: float, before: float, after: float, size: float, kind: str, title: str) -> Markup:
    middle = (left + right) / 2
    path = (
        f"M{left:.1f} {before:.2f}C{middle:.1f} {before:.2f} {middle:.1f} {after:.2f} {right:.1f} {after:.2f}"
        f"L{right:.1f} {after + size:.2f}"
        f"C{middle:.1f} {after + size:.2f} {middle:.1f} {before + size:.2f} {left:.1f} {before + size:.2f}Z"
    )
    return Markup('<path class="f-{}" d="{}"><title>{}</title></path>').format(kind, path, title)


def sentence(found: Sequence[turns.Episode]) -> str:
    """The last turn against the first in words; "" where nobody tried twice."""
    made = turns.curve(found)
    if len(made) < 2:
        return ""
    whole = turns.between([turns.Episode((e.right[0], e.right[-1])) for e in found])[0]
    return (
        f"The last attempt is right in {percent(made[-1].value, 1)}, the first in {percent(made[0].value, 1)}: "
        f"{_points(whole.gain)} points; {whole.mended:,} mended, {whole.spoilt:,} spoilt of {short(len(found))}."
    )
