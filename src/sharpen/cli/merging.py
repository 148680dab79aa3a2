"""Several models into one: `sharpen merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
