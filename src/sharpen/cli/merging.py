"""Several models into one: `sharpen merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sharpen.cli.commands import idle


def merge(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New directory for the merged model.")],
    models: Annotated[list[Path], typer.Argument(metavar="MODEL…", help="Directories of one architecture, such as exports.")],
    how: Annotated[
        str, typer.Option(metavar="linear|task_arithmetic|ties|dare|neon|posterior", help="In what way.")
    ] = "linear",
    base: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What all of them were trained from; linear needs none.")
    ] = None,
    share: Annotated[
        list[float] | None,
        typer.Option(
            metavar="N", help="Of each model in turn, for linear; of each task set, for posterior. [default: the same for all]"
        ),
    ] = None,
    scale: Annotated[
        float, typer.Option(metavar="N", help="Of what is added to the base; of neon, of what is taken away.")
    ] = 1.0,
    density: Annotated[
        float, typer.Option(min=0, max=1, metavar="0…1", help="Share of changes that ties keeps, and dare.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(metavar="N", help="Of what dare drops.")] = 0,
) -> None:
    """Merge models that were trained from one: their mean, or the base and what each has learnt.

    linear is their weighted mean. task_arithmetic adds to the base what each has changed, ties what changed most and where most
    of them agree in sign, dare a random part of it, made larger. neon goes from the base away from a model that was trained on
    its own samples. posterior takes one run of ibcl over a stream, and draws a model for a preference among its task sets.
    """
    from sharpen.models import merging

    for name, readers in merging.unread(how).items():
        idle(context, (name,), f"with {how}: it is read by {readers}")
    if how == "posterior":
        print(f"{preferred(out, models, share or [], seed)} is written.")
        return
    print(f"{merging.merge_models(out, models, how, base, share or [], scale, density, seed)} is written.")


def preferred(out: Path, runs: list[Path], preference: list[float], seed: int) -> Path:
    """A model drawn from the posteriors that a run keeps (IBCL, arXiv 2305.14782, algorithm 2); nothing is learnt.

    UserError where there are none."""
    from safetensors.torch import load_file

    from sharpen.core import UserError
    from sharpen.models import load_model, merging
    from sharpen.objectives import consolidation
    from sharpen.store import Store, checkpoints

    if len(runs) != 1:
        raise UserError(f"posterior draws from one run, and was given {len(runs)}.")
    merging.empty(out)
    with Store.open(runs[0]) as store:
        last = store.last_commit()
        checkpoint = store.verified(last.accepted) if last and last.accepted else None
    kept = sorted(runs[0].glob("past-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    past = load_file(checkpoints.verify(kept[-1]) / "past.safetensors") if kept else {}
    drawn = consolidation.drawn(past, preference, seed)
    if checkpoint is None:
        raise UserError(f"{runs[0]} has no accepted model yet. Go on with it: sharpen resume {runs[0]}")
    model, tokenizer = load_model(checkpoint)
    merging.write(out, model, tokenizer, {**model.state_dict(), **drawn}, checkpoint)
    return out
