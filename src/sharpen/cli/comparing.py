"""`sharpen compare`: methods at equal budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sharpen.cli import commands, early

Loop = Annotated[
    str | None, typer.Option(metavar="10m|40steps|2Mtokens", help="What the loop of each run may spend. [default: 10m]")
]
OfRecipes = Annotated[
    list[str] | None, typer.Option("--role", metavar="NAME=WHO", help="As for `sharpen run`, for recipes with such a role.")
]


def compare(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(metavar="RECIPE…", help="Recipes, with settings where wanted: grpo grpo:lr=1e-3 mine.py:curriculum=sec"),
    ] = None,
    budget: Loop = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs of each recipe. [default: 3]")] = None,
    first_seed: Annotated[
        int | None,
        typer.Option(min=0, help="The first of the seeds; what one comparison suggests, fresh seeds confirm. [default: 0]"),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="PATH", help="A Hugging Face causal LM to start from.")] = None,
    tasks: Annotated[str | None, typer.Option(metavar="SPEC", help="Tasks, as for `sharpen run`.")] = None,
    columns: commands.Columns = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting for all of them.")] = None,
    roles: OfRecipes = None,
    with_controls: Annotated[
        bool, typer.Option("--controls", help="Each beside its controls, and what share of its gain they explain.")
    ] = False,
    run_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where it goes; alone: what goes on. [default: runs/compare-HASH]")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs side by side, which share the cores. [default: 1]")] = None,
    target: Annotated[float | None, typer.Option(min=0, max=1, help="Accuracy to time. [default: the median reached]")] = None,
    slice_s: Annotated[float, typer.Option("--slice", min=0, metavar="SECONDS", help="How long one run's turn is.")] = 30.0,
    so_far: Annotated[bool, typer.Option("--so-far", help="Show what is finished, and go on with nothing.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Run the code that a directory from elsewhere names.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Which method is better here? Recipes at equal budget, with intervals.

    Same student, tasks and seeds, in turns; the first is what the others are compared with. Interrupted, it goes on.
    """
    early.compared(recipes or (), commands.with_columns(settings, columns), budget, model, tasks)
    from sharpen import compare as comparing
    from sharpen import core
    from sharpen.compare import page as compare_page
    from sharpen.compare import result
    from sharpen.terminal import tables

    given = (budget, seeds, model, tasks, commands.with_columns(settings, columns) or None, jobs)
    if recipes:
        directory, plan = comparing.plan(recipes, *given, run_dir, first_seed, roles)
        directory, plan = comparing.controls.beside(run_dir, plan) if with_controls else (directory, plan)
    elif run_dir and not any((*given, first_seed, roles, with_controls)):
        directory, plan = run_dir, comparing.read_plan(run_dir)
    else:
        raise core.UserError("Name recipes to compare, such as: sharpen compare grpo rloo. With --run-dir alone one goes on.")
    if so_far:
        plan = comparing.read_plan(directory)
        comparing.permitted(directory, plan, trust)
    else:
        make(directory, plan, slice_s, bool(recipes), trust)
    found = result.result(directory, plan, target)
    page = compare_page.render(directory, found)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        tables.show_comparison(found)
        print(f"The report is at {page}")


def make(directory: Path, plan: Any, slice_s: float, asked: bool, trust: bool) -> None:
    """Make what is not finished, and say how to go on where that is interrupted."""
    from sharpen import compare as comparing
    from sharpen.terminal import Terminal

    with Terminal() as progress:
        try:
            comparing.compare(directory, plan, progress, slice_s, asked=asked, trusted=trust)
        except KeyboardInterrupt:
            progress.say(f"What is done is kept. Go on with: sharpen compare --run-dir {directory}")
            raise
