"""`sharpen grow`: a file of tasks from what a run has failed at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sharpen.cli.commands import AsJson
from sharpen.terminal import places


def grow(
    directory: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a run, such as runs/latest.")],
    out: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="Where the tasks go.")] = Path("new.jsonl"),
    n: Annotated[int, typer.Option("-n", min=1, help="Tasks that are wanted.")] = 64,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="NAME=WHO", help="Who writes and judges, as for `sharpen run`: proposer, teacher, …"),
    ] = None,
    recipe: Annotated[str, typer.Option(metavar="NAME", help="A recipe whose grower is taken, such as looptool.")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of that recipe, such as grow=procedural.")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Run the code that a directory from elsewhere names.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make tasks of what a run has failed at, and train nothing.

    Diagnoses, has tasks written, checks their labels, refuses what is held out, a duplicate, or of no use to the student, and
    writes the rest as a file for --tasks. Labels in dispute go to a file beside it, which `sharpen audit` decides.
    """
    from sharpen import core, loop
    from sharpen.terminal import Terminal, tables

    if out.exists():
        raise core.UserError(f"{out} is there already, and is not written over. Name another file with --out.")
    with Terminal() as progress:
        bound = [places.here_role(role) for role in roles or []]
        made = loop.asked_growth.grow(directory, n, progress, recipe, settings or [], bound, trust)
    said = loop.asked_growth.write(made, out)
    if as_json:
        print(json.dumps(made.figures(), indent=1, ensure_ascii=False))
        return
    if made.weaknesses:
        rows = [(w.name, w.kind, w.failed, w.n, f"{w.low:.0%} to {w.high:.0%}") for w in made.weaknesses[:20]]
        tables.show(("what fails", "kind", "failed", "of", "share, 95 %"), rows)
    if made.refusals.n:
        refused = sorted(made.refusals.n.items(), key=lambda item: -item[1])
        tables.show(("refused", "tasks", "such as"), [(why, k, made.refusals.example[why][:100]) for why, k in refused])
    for line in said:
        tables.say(line)
