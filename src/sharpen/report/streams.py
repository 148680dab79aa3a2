"""A stream in the report: what each task set came to after each of them, as a matrix, and in between, as curves.

A moment is a round whose weights were in use; one that was rolled back is none. A set's accuracy is the mean over its arms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from sharpen.guard import forgetting
from sharpen.report.charts import Line, percent, plot
from sharpen.report.markup import Markup
from sharpen.report.points import points
from sharpen.store import Store

STYLES = 7  # of lines that can be told apart
WORDS = {
    "average": "average accuracy at the end",
    "worst_case": "worst-case accuracy",
    "forgetting": "forgetting",
    "backward_transfer": "backward transfer",
    "forward_transfer": "forward transfer",
    "stability_gap": "stability gap",
    "maintenance": "performance maintenance",
    "recovery": "performance recovery, rounds",
}


@dataclass(frozen=True)
class Streamed:
    """A run over task sets, as far as it has come.

    sets     names, in order
    arms     of each set, FAMILY/LEVEL
    moments  for each moment (round, set that was practised): set -1 is before the first
    curve    (M, N) accuracy at each moment on each set
    ends     row of the curve at which each set was over; fewer than sets where the run is not
    """

    sets: Sequence[str]
    arms: Sequence[Sequence[str]]
    moments: Sequence[tuple[int, int]]
    curve: np.ndarray
    ends: Sequence[int]

    @property
    def matrix(self) -> np.ndarray:
        """(sets that are over, N)."""
        return self.curve[list(self.ends)]

    @property
    def numbers(self) -> dict[str, float] | None:
        """`forgetting.summary`, once all sets are over."""
        return forgetting.summary(self.curve, self.ends) if len(self.ends) == len(self.sets) else None


def read(store: Store) -> Streamed | None:
    """The stream of a run; None where it is none, or nothing was measured yet."""
    meta, rounds, last = store.meta(), store.rounds(), store.last_commit()
    if not meta.get("stream") or not rounds:
        return None
    names, arms = zip(*meta["stream"], strict=True)
    listed = [[tuple(arm.rpartition("/")[::2]) for arm in own] for own in arms]
    found: dict[int, dict[tuple[str, str], float]] = {}
    for r in store.rows("SELECT round, family, level, n, correct FROM evaluations WHERE purpose = 'validation' AND n > 0"):
        found.setdefault(r["round"], {})[r["family"], str(r["level"])] = r["correct"] / r["n"]
    begun = {stage["number"]: stage["round"] for stage in meta.get("stages", ())[::-1]}  # the first of each number
    begun |= {0: 0}
    used = [r["round"] for r in rounds if r["answer"] != "worse" and r["round"] in found]
    of = [max((n for n, first in begun.items() if first < number), default=-1) for number in used]
    curve = np.array([[fmean([found[r].get(a, 0.0) for a in own]) for own in listed] for r in used])
    ends = [used.index(begun[n]) for n in range(1, len(names)) if n in begun and begun[n] in used]
    if last and last.finished and len(ends) == len(names) - 1:
        ends.append(len(used) - 1)
    return Streamed(names, arms, list(zip(used, of, strict=True)), curve, ends)


def summary(found: Streamed | None) -> dict[str, Any] | None:
    """As JSON: sets, arms, start (accuracies before the first set), matrix (a row after each set), curve (round, set in
    practice, accuracy on each) and numbers (`guard.forgetting.summary`; null until all sets are over)."""
    if found is None:
        return None
    name = {-1: None} | dict(enumerate(found.sets))
    return {
        "sets": list(found.sets),
        "arms": dict(zip(found.sets, map(list, found.arms), strict=True)),
        "start": found.curve[0].tolist(),
        "matrix": found.matrix.tolist(),
        "curve": [
            {"round": r, "set": name[k], "accuracy": row}
            for (r, k), row in zip(found.moments, found.curve.tolist(), strict=True)
        ],
        "numbers": found.numbers,
    }


def section(found: Streamed | None) -> Markup:
    """Its part of the page; nothing where there is no stream."""
    if found is None:
        return Markup("")
    return Markup(
        '<section id="stream"><h2>What became of each task set?</h2>'
        '<p class="lead">Accuracy on the validation stream. A row of the matrix is measured after a task set was learnt, a '
        "column is a set; what stands below the diagonal was learnt before. The curves show every round between.</p>"
        "{}{}{}{}</section>"
    ).format(_matrix(found), _numbers(found), _key(found), _curves(found))


def _matrix(found: Streamed) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in found.sets)
    rows = [("before", found.curve[0], -1)]
    rows += [(f"after {found.sets[i]}", row, i) for i, row in enumerate(found.matrix)]
    cell = Markup('<td style="--v:{}" title="{}: {}"><b>{}</b></td>')
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            name,
            Markup("").join(
                cell.format(f"{v:.2f}", f"{name}, {of}", percent(float(v), 1), f"{100 * v:.0f}")
                for of, v in zip(found.sets, row, strict=True)
            ),
        )
        for name, row, _ in rows
    )
    table = '<div class="map"><table><thead><tr><th scope="col"></th>{}</tr></thead><tbody>{}</tbody></table></div>'
    return Markup('<div class="maps">' + table + "</div>").format(head, body)


def _numbers(found: Streamed) -> Markup:
    numbers: Mapping[str, float] = found.numbers or {}
    said = []
    for name, words in WORDS.items():
        value = numbers.get(name)
        if value is None or not np.isfinite(value):
            continue
        accuracy = name in ("average", "worst_case")
        shown = percent(value, 1) if accuracy else f"{value:+.2f}" if name == "recovery" else f"{points(value)} points"
        said.append(Markup("<li>{}: <b>{}</b></li>").format(words, shown))
    return Markup("<ul>{}</ul>").format(Markup("").join(said)) if said else Markup("")


def _key(found: Streamed) -> Markup:
    box = '<svg width="22" height="12"><path class="line k{}" d="M0 6H22"/></svg>{} '
    parts = [Markup(box).format(i % STYLES, name) for i, name in enumerate(found.sets)]
    return Markup('<p class="key">{}</p>').format(Markup("").join(Markup("<span>{}</span>").format(p) for p in parts))


def _curves(found: Streamed) -> Markup:
    xs = [r for r, _ in found.moments]
    lines = [Line(list(zip(xs, found.curve[:, i].tolist(), strict=True)), f"k{i % STYLES}") for i in range(len(found.sets))]
    return plot(
        lines, label="Accuracy on each task set by round", form=percent, x_name="round", bounds=(0.0, 1.0), covers=(0.0, 1.0)
    )
