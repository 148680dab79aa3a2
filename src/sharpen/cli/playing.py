"""`sharpen play`: walk through an environment by hand, or have it looked at for faults."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from sharpen.cli.serving import lines
from sharpen.terminal import places

Which = Annotated[
    str,
    typer.Argument(metavar="ENV", help="shop.py:Shop, module:Class, gymnasium:ID, textarena:ID, openenv:URL, verifiers:NAME."),
]


def play(
    env: Which,
    tasks: Annotated[str | None, typer.Option(metavar="FILE", help="Episodes, one a line. [default: seeds]")] = None,
    number: Annotated[int, typer.Option("-n", min=0, help="Which of its tasks.")] = 0,
    split: Annotated[str, typer.Option(help="Of which split: train, validation or test.")] = "train",
    seed: Annotated[int, typer.Option(min=0, help="Another seed orders the tasks otherwise.")] = 0,
    seconds: Annotated[float, typer.Option(min=0.1, help="That a step may take.")] = 30.0,
    probe: Annotated[bool, typer.Option("--probe", help="Look for faults: what differs, leaks, or pays a cheat.")] = False,
) -> None:
    """Walk through an environment by hand. A line is an action, or a call such as buy(item=3); it works piped, too.

    /undo takes the last step back, /reset begins again, /quit or Ctrl-D ends; then the environment judges. With --probe it is
    looked at instead: whether a reset repeats itself, whether an episode leaves something behind, whether a tool shows the
    answer, and whether a cheat is paid. Exits with 3 where something is found.
    """
    from sharpen import environments
    from sharpen import tasks as sources
    from sharpen.core import SPLITS, Arm, UserError, suggest

    if split not in SPLITS:
        raise UserError(f"--split {split}: there are {', '.join(SPLITS)}.{suggest(split, SPLITS)}")
    spec = environments.here(environments.checked(env))
    source = sources.parse_spec(places.here_tasks(tasks) if tasks else "episodes", env=spec)
    arm: Arm = source.arms[0]
    if probe:
        found = environments.probe(spec, [source.draw(arm, split, number + i, seed) for i in range(4)], seconds)
        for said in found:
            tables().say(said)
        print("nothing found" if not found else f"{len(found)} found")
        raise typer.Exit(3 if found else 0)
    walk(
        environments.open_env(spec, source.draw(arm, split, number, seed)),
        source.draw(arm, split, number, seed),
        lines(),
        seconds,
    )


def tables() -> Any:
    from sharpen.terminal import tables

    return tables


def walk(environment: Any, task: Any, said: Iterable[str], seconds: float) -> None:
    """Act out each line; then judge."""
    from sharpen import environments
    from sharpen.core import Failed, shortened

    past: list[Any] = []
    try:
        begin(environment, task, seconds)
        for line in said:
            text = line.strip()
            if text in ("/quit", "/exit"):
                break
            if text == "/reset":
                past.clear()
                begin(environment, task, seconds)
            elif text == "/undo":
                tables().say("(one step back)" if past else "(there is no step to take back)")
                environment = past.pop() if past else environment
            elif text:
                before = environment.copy()
                done = acted = False
                for action, wrong in actions(environments, environment, text):
                    seen = environment.now(environments.act(environment, action, seconds)) if not wrong else None
                    tables().say(shortened(seen.text) if seen else f"error: {wrong}")
                    done, acted = done or bool(seen and seen.done), acted or seen is not None
                past += [before] if acted else []
                if done:
                    print("(the episode is over)", file=sys.stderr)
                    break
        end = environment.now(environments.act(environment, "", seconds, kind="judge"))
    except Failed as failed:
        tables().say(f"unscorable: {failed}")
        raise typer.Exit(1) from None
    verdict = end.verdict
    tables().say(f"{verdict.outcome}, reward {verdict.reward:g} {verdict.feedback}" if verdict else f"last state: {end.text}")


def begin(environment: Any, task: Any, seconds: float) -> None:
    from sharpen import environments
    from sharpen.core import shortened

    first = environment.now(environments.act(environment, "", seconds, kind="reset"))
    own = [] if task.data.get("silent") else [str(message["content"]) for message in task.prompt]
    tables().say("\n\n".join([*own, *filter(None, [shortened(first.text)])]))
    for tool in environment.tools:
        function = tool["function"]
        given = ", ".join(function["parameters"].get("properties", {}))
        tables().say(f"  {function['name']}({given})  {function['description']}", sys.stderr)


def actions(environments: Any, environment: Any, text: str) -> list[tuple[str, str]]:
    """(action, "") of what was typed, or ("", what is wrong with it)."""
    import json

    if environment.words:
        return [(text, "")]
    wanted, wrong = environments.calls.read(text, environment.tools)
    if wrong or not wanted:
        return [("", wrong or "this is no call: write it such as name(argument=1)")]
    return [
        (
            json.dumps({"name": call.name, "arguments": dict(call.arguments)}),
            environments.calls.mistake(call, environment.tools),
        )
        for call in wanted
    ]
