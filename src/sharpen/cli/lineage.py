"""`sharpen lineage`: from a failure to a change in skill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sharpen.cli.commands import AsJson

LONGEST = 300  # characters of a text that are shown


def lineage(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run, such as runs/latest.")],
    name: Annotated[str, typer.Argument(metavar="TASK|ARM", help="Id of a task, or its beginning; or an arm: chain_sum/2.")],
    as_json: AsJson = False,
) -> None:
    """What a task came from, and what came of it.

    The failure that it was made of; how it was answered; in which batches it was learnt; which checkpoint that left; and how
    skill changed, on validation tasks of its arm or of its parents' arms. Of an arm, the same of all its tasks.
    """
    from sharpen.store import Store
    from sharpen.store import lineage as traced
    from sharpen.terminal import tables

    with Store.open(directory, write=False) as store:
        found = traced.trace(store, name)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        show(found, tables)


def show(found: dict[str, Any], tables: Any) -> None:
    for origin in found["origins"]:
        tables.say(f"failure   {origin['id']} of {origin['arm']}: {cut(origin['question'])}")
        if failure := origin["failure"]:
            tables.say(f"          step {failure['step']}, {failure['outcome']}: {cut(failure['response']) or '(nothing)'}")
    if found["parents"] > len(found["origins"]):
        tables.say(f"          … {found['parents']} parents in all")
    shown = found["tasks"][: 1 if found["count"] == 1 else 3]
    for task in shown:
        made = f", by {task['operator']}" if task["operator"] else ""
        tables.say(f"task      {task['id']} of {task['arm']}{made}: {cut(task['question'])}")
        tables.say(f"          answer {cut(str(task['answer']))}")
        if grown := task.get("grown"):
            tables.say(f"          grown after round {grown['round']}, solved in {grown['correct']} of {grown['tries']} tries")
    if found["count"] > len(shown):
        tables.say(f"          … {found['count']:,} tasks in all")
    for operator, n in found["children"].items():
        tables.say(f"children  {n:,} by {operator}")
    watched = ", ".join(found["watched"])
    tables.say(f"\nskill is measured on {watched}" if watched else "\nno arm that is measured has to do with it")
    columns = ("round", "tried", "right", "learnt", "steps", "checkpoint", "guard", "skill", "change", "95 %")
    tables.show(columns, map(line, found["rounds"]))


def line(row: dict[str, Any]) -> tuple[Any, ...]:
    counts = [count for purpose, count in row["outcomes"].items() if purpose in ("train", "grow", "warmup")]
    tried = sum(sum(count.values()) for count in counts)
    learnt, change = row["learnt"], row["change"]
    return (
        row["round"],
        tried or "",
        sum(count.get("correct", 0) for count in counts) if tried else "",
        learnt["n"] if learnt else "",
        "{}–{}".format(*learnt["steps"]) if learnt else "",
        row["checkpoint"],
        row["answer"],
        "" if row["skill"] is None else f"{row['skill']:.1%}",
        "" if change is None else f"{100 * change['value']:+.1f}",
        "" if change is None else "{:+.1f} to {:+.1f}".format(*(100 * end for end in change["ci95"])),
    )


def cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
