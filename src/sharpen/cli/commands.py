"""The commands that are not about one run's record: measuring a model, judging a file of responses, auditing a file of tasks.

Like all of them, they import what they need only when they are called (program.py).
"""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sharpen.cli import early
from sharpen.terminal import places

FATAL = 3
TasksFile = Annotated[
    Path, typer.Argument(metavar="TASKS", help="One task a line: id, verifier, answer or tests, …; or any file of tasks.")
]
RunDir = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run, such as runs/latest.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Spec = Annotated[
    str | None,
    typer.Option(metavar="SPEC", help="Tasks, with commas between: chain_sum, chain_sum/2, chain_sum/1-3, default, my.jsonl."),
]
System = Annotated[
    str | None,
    typer.Option("--system", metavar="TEXT|@FILE", help="System message before every prompt; it replaces what is told."),
]
Columns = Annotated[
    str | None,
    typer.Option("--map", metavar="FIELD=COLUMN,…", help="What a file's columns are: prompt=question,answer=solution."),
]
Env = Annotated[
    str | None,
    typer.Option(
        "--env", metavar="SPEC", help="An environment: shop.py:Shop, gymnasium:ID, textarena:ID, openenv:URL, verifiers:NAME."
    ),
]
Agent = Annotated[
    str | None,
    typer.Option("--agent", metavar="COMMAND", help="An agent program that asks OpenAI's API: each of its runs is a rollout."),
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Verifier processes. [default: one for each core]")]
Isolation = Annotated[str, typer.Option(help="Least isolation at which code may run: full, reduced or none.")]

Longest = Annotated[
    int | None, typer.Option(min=1, help="Longest answer, in tokens. [default: what it was trained with, or 256]")
]
Temperature = Annotated[float | None, typer.Option(min=0, help="0 is greedy. [default: 0, and 1 with several samples]")]
Precision = Annotated[str, typer.Option(help="fp32, bf16, or auto: bf16 where the hardware is made for it.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, …; auto: a GPU where there is one.")]
Searches = Annotated[
    list[str] | None,
    typer.Option("--search", metavar="NAME=N", help="Choose among several: best_of=16, majority=32, beam=4, mcts=64, …"),
]
ChosenBy = Annotated[
    str,
    typer.Option(help="What a search chooses by: likelihood, certainty, role, reward; knowing the answer: verifier, playouts."),
]
Page = Annotated[Path | None, typer.Option("--page", metavar="FILE.html", help="With --search: the table and a plot.")]


AskingSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="As for `sharpen run`: prompt_suffix, top_k, top_p, min_p, stop, …"),
]
Feedback = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="unary, verdict, first_error, execution, own_critique, explained, critic, checklist or person.",
    ),
]
Asked = Annotated[
    list[str] | None,
    typer.Option(
        "--role", metavar="NAME=WHO", help="Who the critic, judge or person of the feedback is, or the `value` of a search."
    ),
]


def with_columns(settings: list[str] | None, columns: str | None) -> list[str]:
    """`--map` is the setting `tasks.map`: so a run that is resumed, or compared, reads its files in the same way."""
    return [*(settings or []), *([f"tasks.map={columns}"] if columns else [])]


def idle(context: typer.Context, names: Collection[str], why: str) -> None:
    """UserError where one of these options was written on the command line, although it does nothing there; `why` goes on."""
    from sharpen.core import UserError

    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in names and source is not None and source.name == "COMMANDLINE":
            raise UserError(f"{option.opts[0]} does nothing {why}. Leave it out.")


def acting(env: str | None, agent: str | None, tasks: str | None) -> list[str]:
    """`--env` and `--agent` as settings. UserError for both."""
    if env and agent:
        from sharpen.core import UserError

        raise UserError("--env and --agent are two ways to act: leave one out.")
    return [*with_env(env, tasks), *with_agent(agent)]


def with_agent(command: str | None) -> list[str]:
    """`--agent COMMAND` as settings: the rollout is a run of that program."""
    if command is None:
        return []
    words = [places.here(word) if "/" in word or "." in word else word for word in shlex.split(command)]
    return ["rollout=agent", f"rollout.command={shlex.join(words)}"]


def with_env(env: str | None, tasks: str | None) -> list[str]:
    """`--env SPEC` as settings: the rollout is an episode in it, and tasks are episodes. UserError where there is none such."""
    if env is None:
        return []
    from sharpen import environments

    spec = environments.here(environments.checked(env))
    return ["rollout=acting", f"rollout.env={spec}", *([f"tasks.env={spec}"] if tasks is None or tasks.count(",") == 0 else [])]


def evaluate(
    model_dir: Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="A Hugging Face causal LM.")],
    tasks: Spec = None,
    columns: Columns = None,
    n: Annotated[int, typer.Option("-n", min=1, help="At most so many tasks of each arm.")] = 64,
    seed: Annotated[int, typer.Option(help="Another seed draws other tasks.")] = 0,
    max_tokens: Longest = None,
    system: System = None,
    settings: AskingSettings = None,
    samples: Annotated[int, typer.Option(metavar="K", min=1, help="Answers to each task: pass@1 to pass@K, and maj@K.")] = 1,
    temperature: Temperature = None,
    attempts: Annotated[
        int, typer.Option(metavar="K", min=1, help="Attempts at each task, with feedback between them; the last one counts.")
    ] = 1,
    feedback: Feedback = "unary",
    roles: Asked = None,
    precision: Precision = "auto",
    device: Device = "auto",
    search: Searches = None,
    value: ChosenBy = "likelihood",
    page: Page = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on the test split.

    Of each arm the share of right answers with its 95 % interval, and how the others came out: wrong, malformed (no answer
    can be read), or cut off. Three answers are shown as they are. All tasks are answered in one batch. The model is asked as it
    was trained, where its directory says how (asking.json). With --search, several times, each search is measured beside one
    answer, with what a task costs.
    """
    from sharpen import tasks as sources

    early.model(model_dir)
    source = sources.parse_spec(tasks or "default", columns or "")
    from sharpen import loop
    from sharpen.terminal import Terminal, tables

    told = (*(settings or []), *places.system_setting(system))
    how: dict[str, Any] = dict(settings=told, temperature=temperature, precision=precision, device=device)
    if search or page or value != "likelihood":
        how |= dict(value=value, roles=roles or ())
        return searched(model_dir, source, search or (), samples, page, as_json, (n, seed), max_tokens, how)
    with Terminal() as progress:
        for note in source.notes:
            progress.say(note)
        turns: dict[str, Any] = dict(attempts=attempts, feedback=feedback, roles=roles or ())
        figures = loop.evaluate_model(model_dir, source, n, seed, progress, max_tokens, samples=samples, **how, **turns)
    if as_json:
        print(json.dumps(figures, indent=1))
    else:
        tables.show_evaluation(figures)


def searched(
    model_dir: Path,
    source: Any,
    named: Sequence[str],
    samples: int,
    page: Path | None,
    as_json: bool,
    drawn: tuple[int, int],
    max_tokens: int | None,
    how: Mapping[str, Any],
) -> None:
    """`eval` with searches. UserError for what only they take, without one."""
    from sharpen import loop, report
    from sharpen.core import UserError
    from sharpen.terminal import Terminal, tables

    if not named:
        raise UserError("--page and --value are about searches. Name one, such as --search best_of=16.")
    if samples > 1:
        raise UserError(
            "--samples and --search exclude each other: --search best_of=16 or majority=16 is what chooses among 16."
        )
    with Terminal() as progress:
        for note in source.notes:
            progress.say(note)
        figures = loop.measure_searches(model_dir, source, named, *drawn, progress, max_tokens, **how)
    if as_json:
        print(json.dumps(figures, indent=1))
    else:
        tables.show_searches(figures)
    if page:
        print(f"the page is {report.searches.render(figures, page)}", file=sys.stderr)


def verify(
    tasks: TasksFile,
    responses: Annotated[
        Path, typer.Argument(metavar="RESPONSES.jsonl", help="One response a line: id (of its task), response.")
    ],
    columns: Columns = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each response, in order.")] = False,
    jobs: Jobs = None,
    cache: Annotated[bool, typer.Option(help="Take verdicts that were given before from the user's cache.")] = True,
    isolation: Isolation = "full",
) -> None:
    """Judge a file of responses.

    For each: id, outcome, reward, parts, feedback, rule, isolation, seconds. Code runs in the sandbox.
    """
    from sharpen.audit import offline
    from sharpen.terminal import Terminal

    lines = offline.read_tasks(tasks, map=columns or "")
    count = offline.check_responses(responses, lines)
    outcomes: dict[str, Counter[str]] = {}
    seconds: Counter[str] = Counter()
    with _open_cache(cache) as kept, Terminal() as progress:
        progress.phase("verify", total=count)
        for row in offline.judge_file(lines, responses, jobs, kept, isolation):
            if as_json:
                print(json.dumps(row))
            name = lines[str(row["id"])].named
            outcomes.setdefault(name, Counter())[row["outcome"]] += 1
            seconds[name] += row["seconds"]
            progress.advance(1)
    if not as_json:
        _show(outcomes, seconds)


def audit(
    tasks: TasksFile,
    columns: Columns = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    decide: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=right|wrong|drop", help="Settle a task's disputes: is its verifier right? Kept beside TASKS."),
    ] = None,
    jobs: Jobs = None,
    isolation: Isolation = "full",
) -> None:
    """Is the verifier itself right?

    Right answers must pass, also in other forms; spoilt ones must fail; judging again must give the same; a second
    implementation must agree. What disagrees is listed for a person to decide. Exits with 3 while disputes are open.
    """
    from sharpen import audit as auditing
    from sharpen.terminal import tables

    if decide:
        for said in auditing.decide(tasks, decide, jobs, isolation, columns or ""):
            tables.say(said, sys.stderr)
    found = auditing.audit(tasks, jobs, isolation, columns=columns or "")
    if as_json:
        print(json.dumps(auditing.plain(found), indent=1))
    else:
        tables.show(("check", "asked", "disputed"), [(name, asked, lost) for name, (asked, lost) in found.checks.items()])
        for said in auditing.listing(found):
            tables.say(f"\n{said}")
        tables.say(f"\n{auditing.summary(found)}")
    if found.disputes:
        raise typer.Exit(FATAL)


def rewards(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run with a learnt reward.")],
    as_json: AsJson = False,
) -> None:
    """Can a run's learnt reward be trusted?

    By round, on held-out tasks: how often it pays a right answer more than a wrong one, and how far it is off; and what became
    of scripted hackers, wrong answers dressed up to please it, in the last one. Exits with 3 where half of one kind got by.
    """
    from sharpen.core import UserError
    from sharpen.store import Store
    from sharpen.terminal import tables

    with Store.open(directory, write=False) as store:
        audits = store.meta().get("audits", [])
    if not audits:
        raise UserError(f"{directory} has no learnt reward that was audited: a verdict by a model is, after the first round.")
    if as_json:
        print(json.dumps(audits, indent=1))
    else:
        by_round = [(row["round"], row["calibration"]) for row in audits if row["calibration"]]
        columns = ("auc", "error", "doubt", "brier", "right", "wrong")
        shown = [(n, c["n"], *("" if c.get(k) is None else f"{c[k]:.2f}" for k in columns)) for n, c in by_round]
        tables.show(("round", "answers", "ranked rightly", "off by", "no chance", "brier", "paid if right", "if wrong"), shown)
        acts = [
            (a["name"], a["n"], f"{a['fooled']:.0%}", f"{a['lift']:+.2f}", f"{a['twin']:+.2f}") for a in audits[-1]["gallery"]
        ]
        print()
        tables.show(("hacker", "tasks", "paid as right", "for the dress", "honest twin"), acts)
    if any(act["fooled"] >= 0.5 for act in audits[-1]["gallery"]):
        raise typer.Exit(FATAL)


def _open_cache(wanted: bool) -> Any:
    import sqlite3

    from sharpen.audit import VerdictCache, cache_directory

    try:
        return VerdictCache(cache_directory() if wanted else None)
    except (OSError, sqlite3.Error) as e:
        print(f"Verdicts are not kept: {cache_directory()} cannot be used: {e}. Set XDG_CACHE_HOME.", file=sys.stderr)
        return VerdictCache(None)


def _show(outcomes: dict[str, Counter[str]], seconds: Counter[str]) -> None:
    from sharpen import core
    from sharpen.terminal import tables

    shown = [o for o in core.OUTCOMES if any(count[o] for count in outcomes.values())]
    rows = []
    for name, count in sorted(outcomes.items()):
        n = count.total()
        scored = n - count["unscorable"]
        rate = f"{count['correct'] / scored:.1%}" if scored else ""
        rows.append((name, n, *(count[o] for o in shown), rate, f"{seconds[name]:.2f}"))
    tables.show(("verifier", "responses", *shown, "correct of scored", "seconds"), rows)
    lost = sum(count["unscorable"] for count in outcomes.values())
    if lost:
        print(f"{lost} could not be judged, which is not the model's fault: see their feedback with --json.")
