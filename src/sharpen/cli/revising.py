"""`sharpen revise`: a model's changes to a text, accepted or rejected one by one in the terminal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

AROUND = 60  # characters that are shown on each side of a change


def revise(
    who: Annotated[
        str, typer.Argument(metavar="WHO", help="A model's directory, http://host:port/v1#model, or module:function.")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A text, in UTF-8.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the revised text goes. [default: shown]")] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Each change with what was said of it, appended: preferences.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="Rounds at most; it ends when nothing is proposed or accepted.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="For each change; one that nobody rules on is rejected.")] = 300.0,
) -> None:
    """Have a model revise a text, and accept or reject each change: y or n.

    What is accepted is revised again. What is rejected stays as it was, letter for letter.
    """
    from sharpen.core import Role, UserError, plural
    from sharpen.data import edits
    from sharpen.loop import revising
    from sharpen.models import LocalPolicy, load_model, roles
    from sharpen.terminal import asked, tables

    role = Role("reviser", bound=who)
    roles.check(role)
    roles.reach([role])
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: it cannot be read as text: {error}. Give a file of UTF-8.") from error
    if who in ("student", "start", "accepted"):
        raise UserError(f"{who} is a role of a run; here, name a model's directory, a server or module:function.")
    speaker = roles.bind([role], None, lambda path: LocalPolicy(*load_model(path)))["reviser"]  # type: ignore[arg-type]

    def accepts(now: str, edit: edits.Edit) -> bool:
        before, after = now[max(edit.start - AROUND, 0) : edit.start], now[edit.stop : edit.stop + AROUND]
        shown = f"…{before}[-{edit.before}-]{{+{edit.after}+}}{after}…"
        return asked(shown, "accept? y/n ", seconds).strip().lower() in ("y", "yes")

    revised, rounds = revising.revise(speaker, text, accepts, depth)
    ruled = [{"round": n, **asdict(edit)} for n, listed in enumerate(rounds, 1) for edit in listed]
    if record:
        with record.open("a", encoding="utf-8") as file_:
            file_.writelines(json.dumps({"text": str(file), **row}, ensure_ascii=False) + "\n" for row in ruled)
    if out:
        out.write_text(revised, encoding="utf-8")
    else:
        shown = tables.safe(revised) if sys.stdout.isatty() else revised
        print(shown, end="" if shown.endswith("\n") else "\n")
    accepted = sum(bool(row["accepted"]) for row in ruled)
    tables.say(f"{accepted} of {plural(len(ruled), 'change')} accepted in {plural(len(rounds), 'round')}", sys.stderr)
