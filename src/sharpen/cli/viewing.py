"""`sharpen view`: runs on a page of this machine. `sharpen decide`: the same decisions about labels, without the page."""

from __future__ import annotations

import getpass
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sharpen.cli.commands import AsJson

LONGEST = 200  # characters of a text that are shown


def view(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN…]", help="Runs, or folders of them. [default: runs/]")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 is any that is free. [default: 8484]")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show only: nobody can stop a run or decide a label.")] = False,
) -> None:
    """Watch runs in a browser, while they go on: curves, skills, rollouts, lineage, labels to decide; and loops around runs.

    The page is for this machine alone, and for whoever has the address that is printed. It only reads the runs; what is decided
    on it lies in files that a run takes in after its round.
    """
    from sharpen.core import UserError
    from sharpen.terminal import listening
    from sharpen.view import app, found

    app.require()
    loops = found.loops(runs or [])
    places = found.runs(runs or [], loops)
    try:
        at = listening("127.0.0.1", app.PORT if port is None else port)
    except UserError:
        if port is not None:
            raise
        at = listening("127.0.0.1", 0)  # another page is there already
    site = app.site_of(places, at.getsockname()[1], decides=not read_only, loops=loops)
    print(f"{app.address(site)}  (Ctrl-C stops it)", flush=True)
    told = ((site.runs, "run"), (site.loops, "loop"))
    print(
        "; ".join(f"{len(d)} {what}{'s' * (len(d) != 1)}: {', '.join(list(d)[:8])}" for d, what in told if d), file=sys.stderr
    )
    try:
        app.serve(site, at)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)


def decide(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run, such as runs/latest.")],
    decisions: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID=accept|reject|edit:LABEL…]", help="ID is the task's, or its beginning, as listed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Labels that wait for a person: list them, or decide them.

    Of a label in dispute, accept says that the claim is right, and reject leaves the task out. Of a label that the run revised,
    accept leaves it so, and reject puts back what was. edit:LABEL is the right one. The run takes it in after its round.
    """
    from sharpen.store import Store
    from sharpen.terminal import tables
    from sharpen.view import deciding

    with Store.open(directory) as store:
        undecided, decided = deciding.labels(store, directory)
    given = [read(text, [*undecided, *decided], directory) for text in decisions or []]  # all of them, before any is decided
    for one in given:
        said = deciding.decide(directory, one, time.time())
        tables.say(f"{said.subject[:12]}: {said.answer}, taken in after the next round", sys.stderr)
    if as_json:
        print(json.dumps({"open": [*map(deciding.summary, undecided)], "decided": [*map(deciding.summary, decided)]}, indent=1))
    elif not decisions and not undecided:
        tables.say(f"No label of {directory} waits for a person; {len(decided)} decided.")
    elif not decisions:
        rows = [
            (label.subject[:12], label.kind, label.arm, cut(label.question), cut(label.before or ""), cut(label.claimed or ""))
            for label in undecided
        ]
        tables.show(("id", "what", "arm", "question", "was", "claimed"), rows)
        tables.say(f"\n{len(undecided)} to decide, {len(decided)} decided", sys.stderr)


def read(text: str, labels: Sequence[Any], directory: Path) -> dict[str, str]:
    """A decision as it was written. UserError where it is none, and where no label, or more than one, is meant. One that is
    decided already is meant too: who was first is told by who takes it in."""
    from sharpen.core import UserError

    id, equals, answer = text.partition("=")
    verb, _, label = answer.partition(":")
    if not equals or verb not in ("accept", "reject", "edit"):
        raise UserError(f"{text!r}: a decision is written ID=accept, ID=reject or ID=edit:LABEL.")
    found = [label for label in labels if id and label.subject.startswith(id)]
    if len(found) != 1:
        count = f"{len(found)} labels begin" if found else "no label begins"
        raise UserError(f"{text!r}: {count} with {id!r}. `sharpen decide {directory}` lists those that wait.")
    return {"kind": found[0].kind, "subject": found[0].subject, "answer": verb, "label": label, "who": getpass.getuser()}


def cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
