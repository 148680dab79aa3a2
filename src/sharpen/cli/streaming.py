"""Task sets one after the other, `sharpen run --stream`; and several models into one, `sharpen merge`."""

from __future__ import annotations

from pathlib import Path
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


def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New directory for the merged model.")],
    models: Annotated[list[Path], typer.Argument(metavar="MODEL…", help="Directories of one architecture, such as exports.")],
    how: Annotated[str, typer.Option(metavar="linear|task_arithmetic|ties|dare|neon", help="In what way.")] = "linear",
    base: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What all of them were trained from; linear needs none.")
    ] = None,
    share: Annotated[
        list[float] | None, typer.Option(metavar="N", help="Of each model in turn, for linear. [default: the same for all]")
    ] = None,
    scale: Annotated[
        float | None, typer.Option(metavar="N", help="Of what is added to the base; of neon, of what is taken away.")
    ] = None,
    density: Annotated[float, typer.Option(metavar="0…1", help="Share of changes that ties keeps, and dare.")] = 0.2,
    seed: Annotated[int, typer.Option(metavar="N", help="Of what dare drops.")] = 0,
) -> None:
    """Merge models that were trained from one: their mean, or the base and what each has learnt.

    linear is their weighted mean. task_arithmetic adds to the base what each has changed, ties what changed most and where most
    of them agree in sign, dare a random part of it, made larger. neon goes from the base away from a model that was trained on
    its own samples.
    """
    from sharpen.models import merging

    print(f"{merging.merge_models(out, models, how, base, share or [], scale, density, seed)} is written.")
