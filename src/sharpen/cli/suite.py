"""`sharpen suite`: fixed evaluations of a finished model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sharpen.cli import early
from sharpen.cli.commands import AsJson, AskingSettings, Device, Precision, System, idle
from sharpen.terminal import places


def suite(
    context: typer.Context,
    model_dir: Annotated[
        Path, typer.Argument(metavar="MODEL_DIR", help="A Hugging Face causal LM, or smollm2; for continual a run.")
    ],
    name: Annotated[
        str,
        typer.Option(
            "--suite",
            metavar="NAME|FILE.json",
            help="general, critique, planning, reasoning, insight, contamination, continual; one axis; a file; lm-eval:TASK; "
            "inspect:TASK.",
        ),
    ] = "general",
    before: Annotated[
        Path | None, typer.Option("--before", metavar="MODEL_DIR", help="The model before: differences item by item.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", min=2, help="Items of each axis. [default: 32]")] = None,
    role: Annotated[
        str | None, typer.Option("--role", metavar="judge=WHO", help="With continual: who rates the reasoning after each set.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other items.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where items and rows go. [default: runs/suite-…]")] = None,
    system: System = None,
    settings: AskingSettings = None,
    precision: Precision = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a model on fixed axes, before and after.

    One row for each axis and measure, with 95 % intervals. Prompts, seeds and answers are kept beside the rows, and an
    interrupted suite goes on. Everything that ships is drawn here and needs no network.
    """
    early.model(before, model_dir)
    from sharpen import models, suites
    from sharpen.hashing import digest
    from sharpen.terminal import Terminal

    judge = judge_of(role)
    if name == "continual":
        asking = ("system", "settings", "precision", "device", *(() if judge else ("n", "seed")))
        idle(context, asking, "with --suite continual, which reads what a run has recorded and asks nothing")
    else:
        idle(context, ("role",), "without --suite continual: only what a run over task sets said is given to a judge")
    told = (*(settings or []), *places.system_setting(system))
    found = []
    with Terminal() as progress:
        for which in filter(None, (before, model_dir)):
            where = which if name == "continual" else Path(models.located(str(which)))
            key = digest([str(where.resolve()), name, n, seed, list(told), *([judge] if judge else [])])[:8]
            aside = ("before" if which is before else "after") if before else ""
            directory = out / aside if out else Path(f"runs/suite-{key}")
            found.append((directory, made_of(name, where, directory, n, seed, judge, progress, told, precision, device)))
    directory, after = found[-1]
    change = suites.compared(found[0][0], directory) if before else []
    if as_json:
        print(json.dumps(after | ({"before": found[0][1], "change": change} if before else {}), indent=1))
    else:
        show(found, change)


def made_of(
    name: str,
    where: Path,
    directory: Path,
    n: int | None,
    seed: int,
    judge: str,
    progress: Any,
    told: tuple[str, ...],
    precision: str,
    device: str,
) -> dict[str, Any]:
    """What a suite of any kind says of a model or a run, as JSON."""
    from sharpen import suites

    if name == "continual":
        return suites.continual.run(where, directory, judge, n, seed)
    if suites.external.named(name):
        return suites.external.run(name, where, directory, n, seed, progress, told, precision, device)
    return suites.run(where, name, directory, n, seed, progress, told, precision, device)


def judge_of(role: str | None) -> str:
    """WHO of `judge=WHO`. UserError for another role."""
    from sharpen.core import UserError

    name, equals, who = places.here_role(role).partition("=") if role else ("judge", "", "")
    if role and (name != "judge" or not equals or not who):
        raise UserError(f"--role {role}: a suite has one role, judge=WHO.")
    return who


def show(found: list[tuple[Path, dict[str, Any]]], change: list[dict[str, Any]]) -> None:
    """Rows, differences where there are two models, and which of the two is better for its cost."""
    from sharpen import suites
    from sharpen.terminal import tables

    tables.show(("axis", "measure", "value", "95 %", "n"), suites.show(found[-1][1]["rows"]))
    if change:
        print()
        rows = [
            (
                r["axis"],
                r["measure"],
                f"{r['change']:+.3f}",
                "{:+.3f} to {:+.3f}".format(*r["ci95"]) if r["ci95"] else "",
                r["n"],
            )
            for r in change
        ]
        tables.show(("axis", "measure", "after - before", "95 %", "n"), rows)
    known = {str(made["model"]): suites.ranking.figures(made["rows"]) for _, made in found}
    if len(known) > 1 and all(known.values()):
        print()
        ranks = suites.ranking.ranked({name: one for name, one in known.items() if one})
        tables.show(("model", "quality by cost"), [(name, f"{score:.3f}") for name, score in ranks])
    tables.say(f"\nitems and rows are in {found[-1][0]}")
