"""What people decided about labels, taken in between two rounds (store/asked.py has how they say it).

A proposal in dispute    accepted or with an edited label it is a proposal of this round, before the grower's own: the screen,
                         its verifier and the rollouts look at it as at any other. Rejected it stays out.
A repair of a label      rejected, the task is drawn as it was; edited, it is drawn with that label, or no more where its own
                         verifier refuses the label. Either way no grower repairs it again.

It is committed with the round: what was decided when is part of the record, and a run that is resumed draws the same tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sharpen.core import Task
from sharpen.data import screen
from sharpen.store import Asked, asked
from sharpen.store import growth as stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from sharpen.loop.session import Run

BY_HAND = "label by a person"


@dataclass
class Said:
    """What is taken in this round: about disputes with the task that is proposed, about repairs with the task that is drawn."""

    disputes: list[tuple[Asked, Task | None]] = field(default_factory=list)
    repairs: list[tuple[Asked, Task | None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.disputes or self.repairs)

    @property
    def proposals(self) -> list[Task]:
        return [task for _, task in self.disputes if task is not None]


def said(this: Run) -> Said:
    """What people have said that is not taken in yet, about what the store has."""
    found = Said()
    waiting = asked.untaken(this.store.directory, this.grown.ruled, *asked.LABELS)
    if not waiting:
        return found
    disputed = {task.id: task for task, _, _ in stored.disputed(this.store)}
    repaired = {task for (task,) in this.store.rows("SELECT task FROM repairs")}
    for ruling in waiting:
        if ruling.kind == "dispute" and ruling.subject in disputed:
            found.disputes.append((ruling, proposal(ruling, disputed[ruling.subject])))
        elif ruling.kind == "repair" and ruling.subject in repaired:
            found.repairs.append((ruling, None))
    return found


def proposal(ruling: Asked, task: Task) -> Task | None:
    """The task that a ruling on a dispute proposes."""
    if ruling.answer == "edit":
        return replace(task, answer=ruling.label, solution=None, operator=f"{task.operator}; {BY_HAND}")
    return task if ruling.answer == "accept" else None


def settle(this: Run, rulings: Said, checked: Callable[[Sequence[Task]], list[Task]]) -> None:
    """Draw training tasks as people said of their repairs. checked: those whose verifiers accept their own labels."""
    grown = this.grown
    for i, (ruling, _) in enumerate(rulings.repairs):
        id, now = ruling.subject, None
        if ruling.answer == "accept":
            now = grown.repairs.get(id)
        elif ruling.answer == "reject":
            grown.repairs.pop(id, None)
        else:
            (task,) = stored.tasks(this.store, f"t.id = '{id}'")
            made = screen.plain(replace(task, answer=ruling.label, solution=None, parents=(id,), operator=BY_HAND))
            now = next(iter(checked([made])), None) if made is not None else None
            grown.repairs.pop(id, None)
            if now is None or now.id != id:
                grown.repairs[id] = now
            if now is not None:
                grown.repairs.pop(now.id, None)  # a person says that this is how it is drawn
        rulings.repairs[i] = ruling, now
    grown.ruled.update(ruling.id for ruling, _ in (*rulings.disputes, *rulings.repairs))
    grown.add(())


def record(this: Run, step: int, number: int, rulings: Said, added: Sequence[Task]) -> None:
    """Rows for the commit that comes, and a line for the reader. added: the tasks that grew in this round."""
    if not rulings:
        return
    grew = {task.id for task in added}
    made = [(r, task.id if task is not None and task.id in grew else None) for r, task in rulings.disputes]
    edited = [(r, task) for r, task in rulings.repairs if r.answer == "edit"]
    this.store.add_tasks([task for _, task in edited if task is not None])
    made += [(r, task.id if task is not None else None) for r, task in edited]
    made += [(r, None) for r, _ in rulings.repairs if r.answer != "edit"]
    rows = [asked.row(r, number, step, id) for r, id in made]
    this.store.add_rows("asked", rows)
    counts = {answer: sum(row[5] == answer for row in rows) for answer in asked.ANSWERS}
    told = ", ".join(f"{n} {answer}ed" for answer, n in counts.items() if n)
    this.progress.say(f"round {number}: decisions by people taken in: {told}")
