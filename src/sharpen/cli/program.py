"""The command line. Every command parses first and imports what it needs afterwards, so that help never waits for torch.

Exit codes: 0 done; 2 a mistake of the user's (message, no traceback); 3 the doctor stopped the run, or finds a fatal problem;
130 interrupted, with everything up to the last committed step kept. Results go to standard output, progress to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sharpen import __version__
from sharpen.cli import (
    commands,
    comparing,
    data,
    driving,
    early,
    exporting,
    growing,
    heads,
    lineage,
    listing,
    merging,
    outer,
    planning,
    playing,
    profiling,
    revising,
    serving,
    signals,
    streaming,
    suite,
    usage,
    viewing,
)
from sharpen.cli.commands import AsJson, Columns, RunDir, Spec, System
from sharpen.cli.serving import Track
from sharpen.terminal import places

# How long torch's threads wait awake for each other, in turns of a loop: some 20 µs, then a core is left to whom they wait for.
# By default it is milliseconds, and beside busy neighbours a run is several times slower. OpenMP reads it as torch is loaded.
AWAKE = "1000"
USER_ERROR, FATAL, INTERRUPTED = 2, 3, 130


class Commands(TyperGroup):
    """One place where errors become messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            driving.fail("interrupted", INTERRUPTED)
        except Exception as error:
            if said := usage.told(error, ctx) or usage.out_of_memory(error):
                driving.fail(said, USER_ERROR)
            core = sys.modules.get("sharpen.core")  # where it is not imported yet, no error of its kind can have been raised
            if core is None or not isinstance(error, core.UserError | core.FatalDiagnosis):
                raise
            driving.fail(str(error), USER_ERROR if isinstance(error, core.UserError) else FATAL)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: half the time of the boxed one
    pretty_exceptions_enable=False,
    help="Make a language model better at what it is bad at, and prove it.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"sharpen {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")] = False,
) -> None:
    """What can be said before a command."""


Model = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|FILE.gguf|smollm2", help="A Hugging Face causal LM to start from: a directory, a .gguf file, or smollm2."
    ),
]

Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; `sharpen show RECIPE` lists the keys."),
]
Budget = Annotated[
    str | None, typer.Option(metavar="600s|10m|2h|40steps|2Mtokens", help="Time, learning steps, or tokens sampled.")
]


@app.command()
def run(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE", help="A recipe, or path of a .py file. [default: quickstart; frontier with --model]"),
    ] = None,
    run_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the run goes. [default: runs/TIME-RECIPE]")] = None,
    budget: Budget = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Everything random follows from it.")] = 0,
    model: Model = None,
    tasks: Spec = None,
    stream: streaming.Stream = None,
    env: commands.Env = None,
    agent: commands.Agent = None,
    columns: Columns = None,
    settings: Changes = None,
    system: System = None,
    roles: serving.Roles = None,
    as_control: signals.AsControl = "",
    engines: serving.Engines = None,
    publish: serving.Publish = None,
    ahead: serving.Steps = 0,
    shard: serving.Shard = "",
    workers: serving.Workers = "",
    commit_every: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="What a kill may cost.")] = 120.0,
    track: Track = None,
) -> None:
    """Make a model better, and prove it.

    Warms it up, then goes round: choose tasks, try, verify, learn, measure, keep only what is better. Ends with a report.
    """
    tasks, staged = streaming.streamed(stream, tasks)
    given = (*map(places.here_setting, commands.with_columns(settings, columns)), *places.system_setting(system))
    given, model = (*given, *commands.acting(env, agent, tasks), *staged), places.here(model) if model else model
    tasks = "episodes" if env and not tasks else places.here_tasks(tasks) if tasks else tasks
    early.known(recipe, given, budget, model, tasks)
    from sharpen import loop
    from sharpen.track import trackers

    shown_in, named = trackers(track or ()), recipe or ("frontier" if loop.brought(model) else "quickstart")
    directory = run_dir or places.new_directory(Path(named).stem)
    request = loop.Request(
        recipe=places.here(named) if named.endswith(".py") else named,
        settings=given,
        seed=seed,
        budget=budget,
        model=model,
        tasks=tasks,
        directory=directory,
        argv=("sharpen", *sys.argv[1:]),
        roles=tuple(places.here_role(role) for role in roles or []),
        commit_s=commit_every,
        as_control=as_control,
        **serving.afar(engines, publish, shard, ahead, workers),
    )
    if shard and loop.afar.rank():
        return loop.afar.attend(request)
    request, size = loop.fitted(request, picked=not recipe, say=lambda text: print(text, file=sys.stderr))
    streaming.require(loop.build_recipe(request), named, stream)  # mistakes surface before anything is made
    with places.latest(directory, wanted=run_dir is None):
        driving.drive(partial(loop.start, size=size), request, directory, shown_in)


@app.command()
def resume(
    directory: RunDir,
    budget: Annotated[str | None, typer.Option(metavar="10m|40steps|2Mtokens", help="More, for a finished run.")] = None,
    accept_changes: Annotated[bool, typer.Option("--accept-changes", help="Go on with inputs that have changed.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Run the code that a directory from elsewhere names.")] = False,
    engines: serving.Engines = None,
    publish: serving.Publish = None,
    workers: serving.Workers = "",
    track: Track = None,
) -> None:
    """Go on with an interrupted run, exactly as if it never stopped; or with a finished one, beyond its budget.

    What it was made of must be what it was: tasks, recipe, verifiers, model, chat template, versions. It is shown in
    the trackers that it was shown in, or in those of --track; --track none is in none. Engines and workers are those of
    its beginning, unless they are named.
    """
    if not (directory / "run.db").is_file():
        from sharpen.store import Store

        Store.open(directory)  # says so, before torch is loaded
    from sharpen import loop

    if loop.afar.rank() and loop.afar.sharded(directory):
        return loop.afar.attend_resumed(directory, trust)
    other = serving.instead(engines, publish, workers)
    step = partial(loop.resume, accept=accept_changes, trusted=trust, instead=other)
    driving.drive(partial(step, more=budget), directory, directory, serving.tracked(directory, track), budget, step)


@app.command()
def check(
    directory: RunDir,
    refine: Annotated[
        bool, typer.Option("--refine", help="Say which learning-rate schedule its gradient norms ask for.")
    ] = False,
) -> None:
    """Ask the doctor what is wrong with a run.

    Each finding comes with its evidence and its cure. Exits with 3 where one is fatal.
    """
    from sharpen.guard import doctor, refinement
    from sharpen.store import Store
    from sharpen.terminal import tables

    with Store.open(directory, write=False) as store:
        found = doctor.diagnose(store.steps(), store.rounds(), store.meta().get("audits", ()))
        earlier = [(step, d) for step, d in store.diagnoses() if d.name not in {now.name for now in found}]
        last = store.last_commit()
        norms = [s["grad_norm"] for s in store.steps() if s["phase"] == "loop" and s.get("grad_norm") is not None]
    if refine:
        schedule = refinement.refined(norms)
        said = "too few steps to say" if schedule is None else f"--set lr_end={refinement.linear_end(schedule):.2f}"
        tables.say(f"the learning rate that its gradient norms ask for: {said}")
    stopped = [d for step, d in earlier if d.fatal and last and step == last.step]  # such as the look before the first step
    for diagnosis in [*found, *stopped]:
        tables.say(f"{'FATAL ' if diagnosis.fatal else ''}{diagnosis}")
    for step, diagnosis in earlier:
        if diagnosis not in stopped:
            tables.say(f"earlier, at step {step}: {diagnosis}")
    if not found and not earlier:
        print("nothing found")
    if any(d.fatal for d in [*found, *stopped]):
        raise typer.Exit(FATAL)


@app.command()
def report(
    directory: RunDir,
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the page goes. [default: DIR/report.html]")] = None,
) -> None:
    """Write a run's report and print its figures.

    The report is one HTML page that needs nothing else. With --json no page is written unless --out is given.
    """
    from sharpen import report as page
    from sharpen.terminal import tables

    summary = page.summary(directory)
    path = page.render(directory, out) if out or not as_json else None
    if as_json:
        print(json.dumps(summary, indent=1))
    else:
        tables.show_change(summary)
        print(f"The report is at {path}")


@app.command("list")
def list_recipes(
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/recipes.md.")] = False,
) -> None:
    """The recipes that ship: what each claims, and whether it was shown.

    A claim is claimed, reproduced, or refuted here; --json and --markdown have the command and the figures behind that.
    """
    from sharpen.recipes import catalog, gallery
    from sharpen.terminal import tables

    found = catalog.recipes()
    if as_json:
        keys = ("name", "family", "tier", "claim", "paper", "parent", "differs", "check", "status", "tried")
        shown = [gallery.parted(r.evidence) for r in found]
        rows = [{k: getattr(r, k) for k in keys} | {"command": c, "figures": f} for r, (c, f) in zip(found, shown)]
        print(json.dumps(rows, indent=1))
    elif markdown:
        print(gallery.markdown(found), end="")
    else:
        columns = ("recipe", "family", "parent", "status", "claim")
        tables.show(columns, [(r.name, r.family, r.parent, r.status, r.claim) for r in found])


@app.command()
def query(
    directory: RunDir, sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT.")], as_json: AsJson = False
) -> None:
    """Ask a run's store in SQL, also while it is going.

    Tables: tasks, rollouts, verdicts, batches, steps, arm_stats, evaluations, decisions, diagnoses, timings, commits, meta.
    """
    from sharpen.store import Store
    from sharpen.terminal import tables

    with Store.open(directory, write=False) as store:
        rows = store.rows(sql)
    if as_json:
        print(json.dumps([{key: _json(row[key]) for key in row.keys()} for row in rows], indent=1))  # noqa: SIM118
    elif rows:
        tables.show(rows[0].keys(), rows)


app.command()(exporting.export)
app.command("eval")(commands.evaluate)
app.command("tasks")(listing.show_tasks)
app.command("show")(listing.show_recipe)
offline = commands.verify, commands.audit, growing.grow, commands.rewards, comparing.compare, data.data, lineage.lineage
with_a_model = serving.serve, serving.chat, playing.play, profiling.profile, revising.revise, merging.merge
around_runs = planning.plan, outer.tune, outer.evolve, suite.suite, heads.heads
on_a_page = viewing.view, viewing.decide
for command in (*offline, signals.signal, *with_a_model, *around_runs, *on_a_page):
    app.command()(command)


def main() -> None:
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", AWAKE)
    app(prog_name="sharpen")


def _json(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
