"""Task sets one after the other: `sharpen run --stream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sharpen.terminal import places

if TYPE_CHECKING:
    from sharpen.recipe import Method

Stream = Annotated[
    str | None,
    typer.Option(metavar="SET,SET,…", help="Task sets to learn one after the other, each as --tasks has them; + within a set."),
]


def streamed(stream: str | None, tasks: str | None) -> tuple[str | None, list[str]]:
    """A stream as (tasks, settings). UserError where tasks are given beside it, or it is none."""
    if stream is None:
        return tasks, []
    from sharpen.core import UserError
    from sharpen.recipes import streams

    if tasks is not None:
        raise UserError("--stream names the task sets of the run, and --tasks does too. Leave one out.")
    here = ",".join("+".join(places.here_tasks(part).split(",")) for part in streams.sets_of(stream))
    return streams.whole(here), [f"stream={here}"]


def require(method: Method, named: str, stream: str | None) -> None:
    """Refuse a recipe that only differs from its parent in a stream, where there is none. UserError."""
    from sharpen.core import UserError
    from sharpen.recipe import Stages, opening
    from sharpen.recipes import streams

    if stream is None and (not isinstance(method, Stages) or len(method.stages) == 1) and streams.needs(opening(method)):
        raise UserError(
            f"{named} carries something over from the task sets before, and this run has one: it would learn as its parent "
            "does. Name two or more: --stream a.jsonl,b.jsonl"
        )
