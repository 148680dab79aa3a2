"""`sharpen tune` and `sharpen evolve`: recipes that are chosen, and recipes that change."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from sharpen.cli import early
from sharpen.cli.commands import AsJson, Columns, idle, with_columns
from sharpen.terminal import places

OuterModel = Annotated[str | None, typer.Option("--model", metavar="PATH", help="A Hugging Face causal LM to start from.")]
OuterTasks = Annotated[str | None, typer.Option("--tasks", metavar="SPEC", help="Tasks, as for `sharpen run`.")]
Given = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting for all of them.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="NAME=WHO", help="`proposer` is who proposes; others are for recipes with such a role."),
]
Where = Annotated[Path | None, typer.Option("--run-dir", metavar="DIR", help="Where it goes. [default: runs/…-HASH]")]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Everything random follows from it.")]


What = Annotated[str, typer.Argument(metavar="RECIPE|MODEL_DIR", help="A recipe, or a finished model to be asked well.")]
Over = Annotated[
    str,
    typer.Option(
        metavar="NAME[=LOW..HIGH|=A|B],…",
        help="What to choose: lr,temperature=0.6..1.2,guard=always|evidence; system=eccentric: sixty messages that ship.",
    ),
]
Trials = Annotated[int, typer.Option(min=1, help="Candidates, the recipe as it is among them.")]
TunedBy = Annotated[str, typer.Option(help="Who proposes: gp or tpe (Optuna), kg, ei, es, random, or role.")]
Each = Annotated[str, typer.Option(metavar="60steps|10m", help="What each candidate's loop may spend.")]
Seeds = Annotated[int, typer.Option(min=1, help="Runs of each candidate.")]
Halving = Annotated[
    int, typer.Option(min=1, max=5, help="Rungs: candidates begin with a third of the budget each, the best go on.")
]
Horizon = Annotated[
    str | None, typer.Option(metavar="LOW..HIGH", help="With --by es: steps of a pair's runs, so that it suits any.")
]
Confirm = Annotated[int, typer.Option(min=0, help="Fresh seeds of the winner's report.")]
Aim = Annotated[str, typer.Option("--for", help="accuracy; or of a model cost: tokens for a right answer.")]
Number = Annotated[int, typer.Option("-n", min=1, help="Of a model: tasks of each arm.")]
Samples = Annotated[int, typer.Option(min=1, help="Of a model: answers to each task, where they are not greedy.")]
Root = Annotated[str, typer.Argument(metavar="RECIPE", help="The root: a recipe, or a .py file.")]
Total = Annotated[
    str | None, typer.Option("--budget", metavar="8h", help="Time of all runs together. [default: --runs alone ends it]")
]
Most = Annotated[int, typer.Option("--runs", min=1, help="Runs of changed recipes, failures counted.")]
EvolvedBy = Annotated[str, typer.Option(help="Who is changed next: hgm, dgm or greedy.")]
Trust = Annotated[bool, typer.Option("--trust", help="The proposer may write whole recipe files, which are imported.")]


def tune(
    context: typer.Context,
    what: What,
    over: Over,
    trials: Trials = 20,
    by: TunedBy = "gp",
    budget: Each = "60steps",
    seeds: Seeds = 1,
    seed: Seed = 0,
    halving: Halving = 1,
    horizon: Horizon = None,
    confirm: Confirm = 2,
    aim: Aim = "accuracy",
    n: Number = 64,
    samples: Samples = 1,
    model: OuterModel = None,
    tasks: OuterTasks = None,
    columns: Columns = None,
    settings: Given = None,
    roles: Roles = None,
    run_dir: Where = None,
    as_json: AsJson = False,
) -> None:
    """Choose the numbers of a recipe, or how a model is asked, by trials.

    The recipe as it is comes first. What is chosen on one split is reported on another, with fresh seeds, and beside it how
    much of the gain was the luck of choosing. Interrupted, the same command goes on. It ends with a recipe file.
    """
    from sharpen.recipes import brought

    if not Path(what).is_dir() and not brought.packed(what):
        early.known(what, with_columns(settings, columns), None, model, tasks)
    early.budget(budget)
    from sharpen import core
    from sharpen.outer import tuning

    if aim not in ("accuracy", "cost"):
        raise core.UserError(f"--for {aim}: there are accuracy and cost.")
    others, proposer = parted(roles)
    if (by == "role") != bool(proposer):
        raise core.UserError("--by role and --role proposer=WHO belong together.")
    numbers: dict[str, Any] = dict(trials=trials, by=by, budget=budget, seeds=seeds, seed=seed, rungs=halving)
    numbers |= dict(confirm=confirm, aim=aim, n=n, samples=samples, horizon=tuning.lifetimes(horizon, by))
    plan = tuning.Plan(
        places.here(what), over, **numbers, **shared(model, tasks, columns, settings), roles=others, proposer=proposer
    )
    if plan.asks:
        trained = ("budget", "seeds", "halving", "horizon", "confirm", "model", "roles")
        named = tuple(name for name in trained if not (name == "roles" and proposer and not others))
        idle(context, named, "with a finished model, which is asked and not trained")
    else:
        idle(context, ("aim", "n", "samples"), "with a recipe: it is about asking a finished model, named by its directory")
    directory = run_dir or tuning.place(plan)
    searched(partial(tuning.tune, directory, plan), show_tuned, as_json)


def evolve(
    recipe: Root = "grpo",
    budget: Total = None,
    most: Most = 40,
    each: Each = "60steps",
    by: EvolvedBy = "hgm",
    seed: Seed = 0,
    confirm: Confirm = 3,
    model: OuterModel = None,
    tasks: OuterTasks = None,
    columns: Columns = None,
    settings: Given = None,
    roles: Roles = None,
    trust: Trust = False,
    run_dir: Where = None,
    as_json: AsJson = False,
) -> None:
    """Recipes that change themselves: each change is tried, and kept as a member of an archive.

    Changes turn a number, take a slot of another recipe, or are written by a role (--role proposer=WHO): a program that runs in
    the sandbox and prints a recipe, or with --trust a recipe file. Tasks and verifier cannot be changed. Interrupted, the same
    command goes on. It ends with the tree as a page and a recipe file, measured against the root on tasks and seeds that it was
    not chosen by.
    """
    early.known(recipe, with_columns(settings, columns), None, model, tasks)
    early.budget(each)
    from sharpen.core import UserError
    from sharpen.outer import evolve as evolving
    from sharpen.outer import tuning

    others, proposer = parted(roles)
    if trust and not proposer:
        raise UserError("--trust is about what a proposer writes: name one with --role proposer=WHO.")
    plan = evolving.Plan(
        recipe=places.here(recipe),
        total=budget or "",
        most=most,
        each=each,
        by=by,
        seed=seed,
        confirm=confirm,
        **shared(model, tasks, columns, settings),
        roles=others,
        proposer=proposer,
        trust=trust,
    )
    directory = run_dir or tuning.place(plan, "evolve")
    searched(partial(evolving.evolve, directory, plan), show_evolved, as_json)


def searched(search: Callable[[Any], dict[str, Any]], show: Callable[[dict[str, Any]], None], as_json: bool) -> None:
    """Run a search that takes where it tells how it goes, and print what it found."""
    from sharpen.terminal import Terminal

    with Terminal() as progress:
        try:
            found = search(progress)
        except KeyboardInterrupt:
            progress.say("What is done is kept: the same command goes on.")
            raise
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


def show_evolved(found: dict[str, Any]) -> None:
    """The members, and what the chosen one is worth."""
    from sharpen.terminal import tables

    rows = [
        (
            row["number"],
            "" if row["parent"] is None else row["parent"],
            row["by"],
            row["trials"],
            "" if row["gain"] is None else f"{row['gain']:+.1%}",
            "" if row["score"] is None else f"{row['score']:.0%}",
            f"failed: {row['failed']}" if row["failed"] else row["change"],
        )
        for row in found["members"]
    ]
    tables.show(("member", "parent", "by", "trials", "gain", "beats root", "change"), rows)
    tables.say(f"\nthe chosen member is {found['winner']}: {found['verdict']}")
    say_optimism(found)
    print(f"it is in {found['file']}, the tree in {found['page']}")


def shared(model: str | None, tasks: str | None, columns: str | None, settings: list[str] | None) -> dict[str, Any]:
    """What all candidates have, with paths that stay right when the search goes on from another directory."""
    return {
        "model": places.here(model) if model else None,
        "tasks": places.here_tasks(tasks) if tasks else None,
        "settings": tuple(map(places.here_setting, with_columns(settings, columns))),
    }


def parted(roles: list[str] | None) -> tuple[tuple[str, ...], str]:
    """(roles of recipes, who proposes)."""
    given = list(map(places.here_role, roles or ()))
    proposers = [role.partition("=")[2] for role in given if role.partition("=")[0] == "proposer"]
    return tuple(role for role in given if role.partition("=")[0] != "proposer"), (proposers or [""])[-1]


def show_tuned(found: dict[str, Any]) -> None:
    """The trials, best first, and what the winner is worth where it was not chosen."""
    from sharpen.terminal import tables

    rows = sorted(found["trials"], key=lambda row: (-row.get("rung", 0.0), -row.get("value", float("-inf"))))
    shown = [
        (
            row["number"],
            row["by"],
            f"{row['value']:.4g}" if "value" in row else "failed",
            f"{row['rung']:.0%}" if "rung" in row else "",
            " ".join(f"{k}={v}" for k, v in row["values"].items()) + (f"  {row['failed']}" if "failed" in row else ""),
        )
        for row in rows
    ]
    tables.show(("trial", "by", "chosen by", "of budget", "settings"), shown)
    tables.say(f"\nthe winner is trial {found['winner']}: {found['verdict']}")
    say_optimism(found)
    print(f"it is in {found['file']}")


def say_optimism(found: dict[str, Any]) -> None:
    """How much of what a winner looked like was the luck of choosing; nothing of the root itself."""
    from sharpen.terminal import tables

    if found["winner"]:
        optimism = found["optimism"]
        tables.say(
            f"where it was chosen it looked like {optimism['chosen']:+.1%}: {optimism['gap']:+.1%} of that is optimism "
            f"(the best of as many equal ones would look like {optimism['luck']:+.1%} by luck)"
        )
