"""Tasks as the store has them: those that have grown, those that were repaired, those in dispute, those of any condition."""

from __future__ import annotations

from sharpen.core import Task
from sharpen.store import database
from sharpen.store.store import Store

COLUMNS = "t.family, t.level, t.split, t.prompt, t.answer, t.verifier, t.data, t.solution, t.parents, t.operator"
DEADLINE = 600.0  # seconds


def grown(store: Store) -> list[tuple[int, Task]]:
    """(round, task) of every grown task that is committed, in the order in which they were added."""
    sql = f"SELECT {COLUMNS}, g.round FROM grown g JOIN tasks t ON t.id = g.task ORDER BY g.place"
    return [(row["round"], database.read_task(tuple(row)[:10])) for row in store.rows(sql, deadline=DEADLINE)]


def tasks(store: Store, condition: str) -> list[Task]:
    """The committed tasks for which a condition of SQL on `t` holds, in order of writing."""
    sql = f"SELECT {COLUMNS} FROM tasks t WHERE {condition} ORDER BY t.rowid"
    return [database.read_task(row) for row in store.rows(sql, deadline=DEADLINE)]


def repairs(store: Store) -> dict[str, Task | None]:
    """By the id of a training task what is drawn in its place, None where it is drawn no more; in the order of writing. What a
    person rejected is not among them, and what they edited is as they wrote it (asked.py)."""
    sql = (
        f"SELECT {COLUMNS}, r.task FROM repairs r LEFT JOIN asked a ON a.id = 'repair-' || r.task"
        " LEFT JOIN tasks t ON t.id = CASE WHEN a.answer = 'edit' THEN a.made ELSE r.mended END"
        " WHERE a.answer IS NOT 'reject' AND a.made IS NOT r.task ORDER BY r.place"
    )
    rows = [tuple(row) for row in store.rows(sql, deadline=DEADLINE)]
    found = {row[10]: database.read_task(row[:10]) if row[0] is not None else None for row in rows}
    for (made,) in store.rows("SELECT made FROM asked WHERE kind = 'repair' AND made NOT NULL", deadline=DEADLINE):
        found.pop(made, None)  # a person says that this is how it is drawn
    return found


def disputed(store: Store) -> list[tuple[Task, str, str]]:
    """(task, reason, example) of every proposal whose label is in dispute, in the order of writing."""
    sql = f"SELECT {COLUMNS}, d.reason, d.example FROM disputes d JOIN tasks t ON t.id = d.task ORDER BY d.rowid"
    return [(database.read_task(tuple(row)[:10]), row["reason"], row["example"]) for row in store.rows(sql, deadline=DEADLINE)]
