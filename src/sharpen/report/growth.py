"""What a run has diagnosed, what it made of that, what it threw away and why, and what became of each grown family."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sharpen.estimate import Estimate, change, share

Rows = Callable[..., Sequence[Any]]
CHUNK = 500  # ids in one query
MOST = 12  # weaknesses that are shown of a round

# Of the skill that a grown family was made for: the test tasks of the family of its parents, tried before and after.
HELD_OUT = """
WITH judged AS (
  SELECT r.purpose, r.task, max(r.id) AS rollout, v.outcome = 'correct' AS ok
  FROM rollouts r JOIN verdicts v ON v.rollout = r.id
  WHERE r.purpose IN ('before', 'test') AND v.outcome <> 'unscorable' GROUP BY r.purpose, r.task)
SELECT t.family, count(*) AS n, sum(a.ok > b.ok) AS gained, sum(a.ok < b.ok) AS lost
FROM judged b JOIN judged a ON a.task = b.task AND a.purpose = 'test' JOIN tasks t ON t.id = b.task
WHERE b.purpose = 'before' GROUP BY t.family
"""
PRACTISED = """
SELECT t.family, count(*) AS n, sum(v.outcome = 'correct') AS correct FROM grown g JOIN tasks t ON t.id = g.task
JOIN rollouts r ON r.task = t.id AND r.purpose = 'train' JOIN verdicts v ON v.rollout = r.id GROUP BY t.family
"""


@dataclass(frozen=True)
class Family:
    """A grown family: its tasks, how often they were solved when they were tried first and in training, the families that it
    was made for, and by how much these changed on held-out tasks."""

    name: str
    tasks: int
    first: Estimate | None
    practised: Estimate | None
    origins: tuple[str, ...]
    held_out: Estimate | None


@dataclass(frozen=True)
class Growth:
    """weaknesses  of each round the worst: round, name, kind, failed, n, low, high
    families    largest first
    refused     (reason, how many, example), most frequent first
    repairs     by kind
    disputes    proposals whose labels wait for a person
    """

    weaknesses: Sequence[Mapping[str, Any]] = ()
    families: Sequence[Family] = ()
    refused: Sequence[tuple[str, int, str]] = ()
    repairs: Mapping[str, int] | None = None
    disputes: int = 0

    def __bool__(self) -> bool:
        return bool(self.weaknesses or self.families or self.refused or self.repairs)


def read(rows: Rows) -> Growth:
    """From the tables of growth."""
    refused = rows("SELECT reason, sum(n) AS n, min(example) AS example FROM refusals GROUP BY reason ORDER BY n DESC, reason")
    weak = rows("SELECT * FROM weaknesses WHERE place < ? ORDER BY round, place", (MOST,))
    repairs = rows("SELECT kind, count(*) AS n FROM repairs GROUP BY kind ORDER BY kind")
    return Growth(
        weaknesses=[{key: row[key] for key in row.keys()} for row in weak],  # noqa: SIM118
        families=families(rows),
        refused=[(r["reason"], r["n"], text(r["example"])) for r in refused],
        repairs={r["kind"]: r["n"] for r in repairs},
        disputes=rows("SELECT count(*) FROM disputes")[0][0],
    )


def families(rows: Rows) -> list[Family]:
    counts = rows(
        "SELECT t.family, count(*) AS n, sum(g.tries) AS tries, sum(g.correct) AS correct FROM grown g"
        " JOIN tasks t ON t.id = g.task GROUP BY t.family ORDER BY n DESC, t.family"
    )
    if not counts:
        return []
    held = {r["family"]: (r["gained"], r["lost"], r["n"]) for r in rows(HELD_OUT)}
    practised = {r["family"]: share(r["correct"], r["n"]) for r in rows(PRACTISED)}
    origins = made_for(rows)
    found = []
    for r in counts:
        own = tuple(sorted(f for f in origins.get(r["family"], ()) if f in held))
        moved = change(*(sum(held[f][i] for f in own) for i in range(3))) if own else None
        first = share(r["correct"], r["tries"]) if r["tries"] else None
        found.append(Family(r["family"], r["n"], first, practised.get(r["family"]), own, moved))
    return found


def made_for(rows: Rows) -> dict[str, set[str]]:
    """The families of the parents of each grown family's tasks."""
    listed = rows("SELECT t.family, t.parents FROM grown g JOIN tasks t ON t.id = g.task")
    parents = [(row["family"], id) for row in listed for id in json.loads(row["parents"])]
    ids = sorted({id for _, id in parents})
    family: dict[str, str] = {}
    for at in range(0, len(ids), CHUNK):
        part = ids[at : at + CHUNK]
        family.update(dict(map(tuple, rows(f"SELECT id, family FROM tasks WHERE id IN ({', '.join('?' * len(part))})", part))))
    found: dict[str, set[str]] = {}
    for name, id in parents:
        if id in family:
            found.setdefault(name, set()).add(family[id])
    return found


def summary(grown: Growth) -> dict[str, Any] | None:
    """As JSON; None where nothing grew and nothing was tried."""
    if not grown:
        return None
    return {
        "weaknesses": [dict(w) | {"shown": None} for w in grown.weaknesses],
        "families": [
            {
                "family": f.name,
                "tasks": f.tasks,
                "first": f.first and f.first.value,
                "practised": f.practised and f.practised.value,
                "made_for": list(f.origins),
                "held_out": f.held_out and {"change": f.held_out.value, "ci95": [f.held_out.low, f.held_out.high]},
            }
            for f in grown.families
        ],
        "refused": {reason: n for reason, n, _ in grown.refused},
        "repairs": dict(grown.repairs or {}),
        "disputes": grown.disputes,
    }


def text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
