"""Where a run's rollouts went: which groups could teach, why the others were silent, and what filled the batches.

A group whose answers all have the same reward carries no policy gradient. Its rollouts are not lost for imitation, but they
are for comparing. Everything here is read from the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sharpen.store import Store

CAUSES = ("right", "wrong", "malformed", "alone")
GROUPS = """
SELECT t.family, t.level, count(*) AS n, min(v.reward) AS low, max(v.reward) AS high, sum(v.outcome = 'correct') AS correct,
    sum(v.outcome = 'malformed') AS malformed
FROM rollouts r JOIN verdicts v ON v.rollout = r.id JOIN tasks t ON t.id = r.task
WHERE r.purpose = 'train' AND v.reward IS NOT NULL AND r.step >= ? GROUP BY r.step, r.grp
"""
ROWS = """
SELECT t.family, t.level, r.purpose = 'train' AND r.step = b.step AS fresh, count(*) AS n
FROM batches b JOIN rollouts r ON r.id = b.rollout JOIN tasks t ON t.id = r.task
JOIN steps s ON s.step = b.step AND s.phase = 'loop' WHERE b.step >= ? GROUP BY 1, 2, 3
"""


def cause(n: int, low: float, high: float, correct: int, malformed: int) -> str:
    """ "mixed", or why a group of n judged answers is silent: all of them right, wrong, or without an answer that can be read;
    or there is only one. Groups of wrong and malformed answers with one reward are "wrong"."""
    if n == 1:
        return "alone"
    if low < high:
        return "mixed"
    return "right" if correct == n else "malformed" if malformed == n else "wrong"


def signal(store: Store, since: int = 0) -> dict[str, Any]:
    """Groups and rollouts by cause, and rows of batches that were rolled out in their own step or replayed; of the whole run
    from step `since`, and by arm, those with most silent rollouts first."""
    arms: dict[str, dict[str, int]] = {}
    for row in store.rows(GROUPS, (since,)):
        found = arms.setdefault(f"{row['family']}/{row['level']}", _nothing())
        why = cause(*(row[name] for name in ("n", "low", "high", "correct", "malformed")))
        found["groups"] += 1
        found["rollouts"] += row["n"]
        found[f"groups_{why}"] += 1
        found[f"rollouts_{why}"] += row["n"]
    for row in store.rows(ROWS, (since,)):
        found = arms.setdefault(f"{row['family']}/{row['level']}", _nothing())
        found["fresh" if row["fresh"] else "replayed"] += row["n"]
    order = sorted(arms, key=lambda arm: (arms[arm]["rollouts_mixed"] - arms[arm]["rollouts"], arm))
    return {"all": _shares(_sum(arms.values())), "arms": {arm: _shares(arms[arm]) for arm in order}}


def _nothing() -> dict[str, int]:
    return dict.fromkeys(
        [f"{unit}{why}" for unit in ("groups", "rollouts") for why in ("", "_mixed", *(f"_{c}" for c in CAUSES))]
        + ["fresh", "replayed"],
        0,
    )


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = _nothing()
    for part in parts:
        for name, number in part.items():
            total[name] += number
    return total


def _shares(counts: Mapping[str, int]) -> dict[str, Any]:
    """The counts, with the share of groups that are silent and of batch rows that are replayed; null where there are none."""
    rows = counts["fresh"] + counts["replayed"]
    silent = counts["groups"] - counts["groups_mixed"]
    return {
        **counts,
        "silent": silent / counts["groups"] if counts["groups"] else None,
        "replay": counts["replayed"] / rows if rows else None,
    }
