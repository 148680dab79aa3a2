"""Evaluations as rows and back, and what answers look like.

Column `solved` keeps 1, 0 or ? (not judged) for each task, in order. Those of a `Tally` are NULL where an arm has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple
from typing import Any

from sharpen.core import Arm, Evaluation, Sample, Tally, came_out
from sharpen.guard import baseline
from sharpen.store import database

ONE = "SELECT * FROM evaluations WHERE round = ? AND purpose = ? ORDER BY rowid"
MEANING = {"1": True, "0": False, "?": None}

OF = """
SELECT r.id, r.task, r.stop, v.outcome FROM rollouts r JOIN verdicts v ON v.rollout = r.id
WHERE r.purpose = ? AND r.round = (SELECT max(round) FROM evaluations WHERE purpose = ?)
"""


def rows(round: int, purpose: str, evaluation: Evaluation) -> Iterable[tuple]:
    """The rows of table `evaluations`, one for each arm."""
    for arm, correct in evaluation.correct.items():
        solved = "".join("?" if c is None else "01"[bool(c)] for c in correct)
        known = evaluation.tallies.get(arm)
        _, *parts = astuple(known) if known else (None,) * 6
        yield (round, purpose, arm.family, arm.level, len(solved) - solved.count("?"), solved.count("1"), *parts, solved)


def read(found: Sequence[Sequence[Any]]) -> Evaluation | None:
    """The evaluation that rows of `ONE` hold; None where there are none."""
    correct, tallies = {}, {}
    for _, _, family, level, _, right, *parts, solved in found:
        correct[Arm(family, level)] = tuple(map(MEANING.get, solved))
        if None not in parts:
            tallies[Arm(family, level)] = Tally(right, *parts)
    return Evaluation(correct, tallies) if correct else None


def examples(rows: Callable[..., Sequence[Any]], purpose: str, most: int = baseline.SHOWN) -> list[Sample]:
    """What the answers of the latest evaluation of this purpose look like (`baseline.pick`). `rows` as in `Store.rows`."""
    found = rows(OF, (purpose, purpose))
    chosen = baseline.pick([came_out(r["outcome"], r["stop"]) for r in found], [r["task"] for r in found], most)
    sql = f"{database.COLUMNS} FROM {database.JUDGED} WHERE r.id = ?"
    return [database.read_sample(tuple(rows(sql, (found[i]["id"],))[0]), {}) for i in chosen]
