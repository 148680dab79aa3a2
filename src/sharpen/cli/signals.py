"""`sharpen signal`: where a run's rollouts went; and the option that runs a control of a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sharpen.cli.commands import AsJson

AsControl = Annotated[
    str,
    typer.Option(metavar="NAME", help="Run a control of the recipe instead: untrained, solutions, even, shuffled or prompt."),
]


def signal(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run, such as runs/latest.")],
    since: Annotated[int, typer.Option(metavar="STEP", min=0, help="From this step on; those of the warm-up count.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Where rollouts went: groups that could teach, and silent ones by cause, for each arm; what was replayed.

    A group is silent where all its answers are right, all wrong, or none can be read: then nothing can be compared.
    """
    from sharpen import report
    from sharpen.store import Store
    from sharpen.terminal import tables

    with Store.open(directory, write=False) as store:
        found = report.signal.signal(store, since)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    columns = ("arm", "groups", "mixed", "all right", "all wrong", "malformed", "alone", "silent", "rows learnt", "replayed")
    tables.show(columns, [row("all", found["all"]), *(row(arm, one) for arm, one in found["arms"].items())])


def row(name: str, one: dict[str, Any]) -> tuple[Any, ...]:
    counts = [one[f"groups_{why}"] for why in ("mixed", "right", "wrong", "malformed", "alone")]
    shares = ["" if one[key] is None else f"{one[key]:.0%}" for key in ("silent", "replay")]
    return (name, one["groups"], *counts, shares[0], one["fresh"] + one["replayed"], shares[1])
