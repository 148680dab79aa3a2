"""A run driven with progress, and how it ends for the user: the result, or how to go on."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import typer

from sharpen.cli import serving

INTERRUPTED = 130


def drive(step: Any, what: Any, directory: Path, shown_in: list[str], more: str | None = None, further: Any = None) -> None:
    """Run the loop with progress, then print the result, or how to resume: with `more` budget, where that was not granted.

    further  resumes a finished run that somebody asked to go on meanwhile (store/asked.py)
    """
    from sharpen import loop, track
    from sharpen import report as page
    from sharpen.store import Store, asked
    from sharpen.terminal import Noted, Terminal, tables

    def again() -> str:
        with Store.open(directory, write=False) as store:
            budget = f" --budget {more}" if more and (last := store.last_commit()) and last.finished else ""
        return f"The last committed step is kept. Go on with: sharpen resume {directory}{budget}"

    if shown_in:
        serving.remember(directory, shown_in)
    with track.following(directory, shown_in, partial(tables.say, file=sys.stderr)):
        try:
            asked.forget_pauses(directory)  # asked for before: whoever runs it now wants it to go on
            pause = partial(asked.forget_pauses, directory)
            with Terminal() as shown:
                progress = Noted(shown, directory)
                step(what, progress, pause=pause)
                while order := asked.extension(directory):
                    (further or loop.resume)(directory, progress, pause=pause, more=order)
        except KeyboardInterrupt:
            fail(again() if (directory / "run.db").exists() else "interrupted before the first step", INTERRUPTED)
        with Store.open(directory, write=False) as store:
            commit = store.last_commit()
        if commit is None or not commit.finished:
            fail(again(), INTERRUPTED)
        path = page.render(directory)
        tables.show_change(page.summary(directory))
        print(f"The report is at {path}", flush=True)


def fail(message: str, code: int) -> NoReturn:
    from sharpen.terminal import tables

    tables.say(message, sys.stderr)
    raise typer.Exit(code)
