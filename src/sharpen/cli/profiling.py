"""`sharpen profile`: the dearest operations of a recipe's steps, and what they could cost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sharpen.cli import early
from sharpen.cli.commands import Spec
from sharpen.terminal import places

DEAREST = 20


def profile(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe, or path of a .py file.")] = "quickstart",
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Learning steps that are looked at.")] = 3,
    model: Annotated[str | None, typer.Option(metavar="PATH", help="A Hugging Face causal LM.")] = None,
    tasks: Spec = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Everything random follows from it.")] = 0,
) -> None:
    """Show where the time of a recipe's steps goes.

    The twenty dearest operations, and what each would take at this processor's own speed. Nothing is kept.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler tells of itself
    given = tuple(places.here_setting(s) for s in settings or [])
    early.known(recipe, given, None, model, tasks)
    from sharpen import loop
    from sharpen.core import plural
    from sharpen.terminal import tables

    request = loop.Request(
        recipe=places.here(recipe) if recipe.endswith(".py") else recipe,
        settings=given,
        seed=seed,
        model=places.here(model) if model else model,
        tasks=places.here_tasks(tasks) if tasks else tasks,
        directory=Path(),
    )
    found = loop.profile(request, steps)
    dear = found.operations[:DEAREST]
    rows = [(o.name, o.shapes, o.calls, f"{o.seconds:.3f}", f"{o.seconds / found.seconds:.1%}", _floor(o.floor)) for o in dear]
    tables.show(("operation", "shapes", "calls", "seconds", "share", "could be"), rows)
    all_of, known = sum(o.seconds for o in found.operations), [o for o in dear if o.floor is not None]
    spared = sum(max(o.seconds - (o.floor or 0.0), 0.0) for o in known)
    print(
        f"{plural(steps, 'step')} in {found.seconds:.2f} s, {all_of:.2f} s of them in operations, the rest in Python, "
        f"verdicts and the store. At this machine's own speed ({found.gflops:.0f} GFLOP/s in {found.precision}, "
        f"{found.gbytes:.0f} GB/s) the operations above would spare {spared:.2f} s."
    )
    if found.memory:
        print(f"{found.memory}.")


def _floor(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}"
