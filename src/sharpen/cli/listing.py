"""`sharpen tasks`: the sources there are, problems of one, and what was understood of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sharpen.cli.commands import Columns

if TYPE_CHECKING:
    from sharpen.core import Arm, Task, TaskSource
    from sharpen.tasks import TaskFile

SAMPLES = 10  # of a file, where nobody says how many
LONGEST = 2000  # characters of a text that are shown
EACH = 3  # problems of each level of a family


def show_tasks(
    source: Annotated[
        str | None, typer.Argument(metavar="SPEC", help="A family, an arm such as chain_sum/2, or a file of tasks.")
    ] = None,
    columns: Columns = None,
    level: Annotated[int | None, typer.Option(help="Only this level.")] = None,
    n: Annotated[
        int | None, typer.Option("-n", min=1, max=1000, help="Problems of each level. [default: 3; of a file 10 in all]")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    seed: Annotated[int, typer.Option(help="Another seed draws other problems.")] = 0,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print -n problems of each arm, all splits, as a file of tasks.")
    ] = False,
) -> None:
    """List the task sources, or show problems of one.

    Of a file: what was understood, what is left out and why, the splits, and ten problems. Problems come with their answers,
    worked solutions where somebody wrote how, and what a chat model is told of the form of an answer.
    """
    from sharpen import core
    from sharpen import tasks as sources
    from sharpen.hashing import derive
    from sharpen.terminal import tables

    if source is None:
        tables.show(("family", "levels", ""), sources.listing())
        return
    if split not in core.SPLITS:
        raise core.UserError(f"--split {split}: there are {', '.join(core.SPLITS)}.")
    files = [sources.read_file(Path(name), columns or "") for name in sources.files_of(source)]
    alone = len(files) == 1 and source.strip() == str(files[0].path)
    found = files[0].source if alone else sources.parse_spec(source, columns or "")
    if jsonl:
        print(*sources.lines(found, n or EACH, seed), sep="\n")
        return
    for file in files:
        describe(file)
    arms = [a for a in found.arms if level is None or a.level == level]
    if not arms:
        raise core.UserError(f"{source} has no level {level}; it has {', '.join(sorted({str(a.level) for a in found.arms}))}.")
    for arm, index in chosen(found, arms, split, n, bool(files)):
        show(arm, found.draw(arm, split, index, derive(seed, "tasks")))


def chosen(source: TaskSource, arms: list[Arm], split: str, n: int | None, of_file: bool) -> list[tuple[Arm, int]]:
    """Which problems are shown: n of each arm; of a file, where nobody says, SAMPLES in all, from its arms in turn."""
    if n is not None or not of_file:
        return [(arm, index) for arm in arms for index in range(n or EACH)]
    sizes = {arm: source.size(arm, split) for arm in arms}
    turns = [(arm, i) for i in range(SAMPLES) for arm in arms if sizes[arm] is None or i < (sizes[arm] or 0)]
    return turns[:SAMPLES]


def describe(file: TaskFile) -> None:
    """What was understood of a file."""
    from sharpen.core import SPLITS
    from sharpen.terminal import tables

    source = file.source
    sizes = {split: sum(source.size(arm, split) or 0 for arm in source.arms) for split in SPLITS}
    tables.say(f"{file.path}: {file.shape}, read as {file.kind}")
    for name, made_of in file.says.items():
        print(f"  {name:<9} {tables.safe(made_of)}")
    judged = ", ".join(f"{name} ({count:,})" for name, count in sorted(file.verifiers.items(), key=lambda item: -item[1]))
    print(f"  verifier  {judged}")
    print(f"  rows      {file.rows:,}, of which {sum(sizes.values()):,} are tasks")
    print(f"  split     {', '.join(f'{split} {count:,}' for split, count in sizes.items())}")
    arms = ", ".join(map(str, source.arms[:8])) + (", …" if len(source.arms) > 8 else "")
    print(f"  arms      {len(source.arms)}: {tables.safe(arms)}")
    for reason, (count, first) in sorted(file.left_out.items(), key=lambda item: -item[1][0]):
        print(f"  left out  {count:,} × {tables.safe(reason)}. The first: {tables.safe(first[:LONGEST])}")
    for note in source.notes:
        if "most answers" in note or "were not tried" in note:
            print(f"  note      {tables.safe(note)}")
    print()


def show(arm: Arm, task: Task) -> None:
    """A problem, and what a chat model is told of the form of its answer."""
    from sharpen.terminal import tables
    from sharpen.verify import instruction

    tables.say(f"── {arm} · {task.verifier}")
    for message in task.prompt:
        content = message["content"]
        text = content if isinstance(content, str) else json.dumps(content)
        print(("" if message["role"] == "user" else f"[{tables.safe(str(message['role']), '')}] ") + tables.safe(cut(text)))
    print(f"answer    {tables.safe(answer_of(task))}")
    if task.solution is not None:
        print(f"solution  {tables.safe(cut(task.solution))}")
    if told := instruction(task):
        print(f"told      {tables.safe(cut(told))}")


def answer_of(task: Task) -> str:
    if task.answer is None:
        return "none" + next((f": {decided}" for name in DECIDED if (decided := decided_by(name, task.data.get(name)))), "")
    others = task.data.get("accept") or ()
    return cut(str(task.answer)) + "".join(f", or {cut(str(other))}" for other in others)


DECIDED = {"tests": "the program is run on {}{}", "rubric": "it is checked for {}{}", "criteria": "a judge is asked {}{}"}
DECIDED |= {"schema": "it must fit {}{}"}
CALLED = {"tests": "case", "rubric": "item", "criteria": "question", "schema": "schema"}


def decided_by(name: str, given: Any) -> str:
    """What decides where a task has no answer: how many there are of it, and the first; "" where this is not what decides."""
    if not given:
        return ""
    items = given if isinstance(given, list) else [given]
    first = items[0] if isinstance(items[0], str) else json.dumps(items[0], ensure_ascii=False)
    such = ": " if len(items) == 1 else ", such as "
    return DECIDED[name].format(f"{len(items)} {CALLED[name]}{'s' * (len(items) > 1)}", such + cut(first))


def cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


def export_gguf(source: Path, out: Path, dtype: str | None) -> None:
    from sharpen import models

    models.write_gguf(source, out, dtype or "f16")
    print(f"The model is in {out}: {out.stat().st_size / 1e6:,.0f} MB")


def show_recipe(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe, or path of a .py file.")],
) -> None:
    """What a recipe claims and is made of, and what --set takes."""
    from sharpen.recipe import functions
    from sharpen.recipes import catalog
    from sharpen.terminal import tables
    from sharpen.verify import INSTRUCTIONS

    info = catalog.find(recipe)
    built = catalog.build(recipe, tried=recipe.endswith(".py"))  # those that ship do learn, and torch takes seconds to load
    tables.say(info.claim)
    for key in ("paper", "parent", "differs", "check", "status", "evidence", "tried", "tier", "path"):
        if getattr(info, key):
            tables.say(f"{key:<9} {getattr(info, key)}")
    tables.say(f"\n{built}\n\nMore settings:")
    knobs = dict(catalog.parameters(info))
    for place, slot, function in functions(built):
        knobs |= {f"{place}.{name}": p for name, p in catalog.arguments(slot, function).items()}
    for name, parameter in knobs.items():
        if parameter.default is None or isinstance(parameter.default, bool | int | float | str | tuple):
            tables.say(f"  {name}={parameter.default}")
    for slot in dict.fromkeys(slot for _, slot, _ in functions(built)):
        names = catalog.choices(slot)
        if len(names) > 1:
            tables.say(f"  {slot}={'|'.join(names)}")
    print("\nA chat model is told how its answer is read, by verifier (--system, or --set prompt_suffix=…, replaces it):")
    for name in INSTRUCTIONS:
        print(f"  {name:<25} {INSTRUCTIONS[name] or '-'}")
