"""`sharpen data`: what a set of tasks is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sharpen.cli.commands import AsJson, Columns
from sharpen.terminal import places

if TYPE_CHECKING:
    from sharpen.core import Task
    from sharpen.data import measures as made

SHOWN = 3  # examples of each kind
LONGEST = 160  # characters of one
MEASURES = {
    "with_solution": "share with a worked solution",
    "solutions_right": "of these, accepted by their own verifier",
    "contradictions": "pairs told alike, to different answers",
    "unique": "share that is no copy",
    "forms": "different questions, blind to all but letters, per task",
    "distinct_2": "different pairs of words, per pair",
    "arms": "effective number of arms",
    "distance": "mean cosine distance of two questions",
    "dimensions": "directions in which the model's hidden states vary",
    "words": "words of a question",
    "numbers": "numbers in a question",
    "solution_words": "words of a worked solution",
    "solution_steps": "steps of a worked solution",
    "action_divergence": "distance of a solution from those of like questions",
    "state_similarity": "cosine of a question and the nearest",
}


def data(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A file of tasks, or a source such as chain_sum/2.")],
    against: Annotated[str | None, typer.Option(metavar="FILE2", help="What must not be in it, such as a test set.")] = None,
    columns: Columns = None,
    model: Annotated[Path | None, typer.Option(metavar="DIR", help="How hard it is for this model.")] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="Tasks of each arm. [default: all of a file, else 200]")] = None,
    tried: Annotated[int, typer.Option(min=1, metavar="N", help="Tasks that the model tries.")] = 200,
    samples: Annotated[int, typer.Option(metavar="K", min=1, help="Answers of the model to each.")] = 4,
    seed: Annotated[int, typer.Option(help="Another seed draws other tasks.")] = 0,
    as_json: AsJson = False,
) -> None:
    """What a set of tasks is worth, before anything is trained on it.

    Quality, diversity and complexity; exact and near duplicates; what of it is held out in the same file, or is in another one;
    and with --model how hard it is, by that model's own success.
    """
    from sharpen.data import measures
    from sharpen.terminal import tables

    tasks, left, (same, otherwise) = read(source, columns or "", n, seed)
    found = measures.copies(tasks)
    figures: dict[str, Any] = {"source": source, "tasks": len(tasks), "left_out": left}
    embedded = None
    if model is not None:
        figures["difficulty"], embedded = measured(model, tasks, tried, samples, seed)
    figures |= {
        "quality": measures.quality(tasks, found, otherwise),
        "diversity": measures.diversity(tasks, found),
        "complexity": measures.complexity(tasks),
        "imitation": measures.imitation(tasks),
        "duplicates": duplicates(tasks, found, same + otherwise),
        "contamination": {"own splits": held_out(tasks)},
    }
    if embedded is not None:
        figures["diversity"]["dimensions"] = measures.dimensions(embedded)
    if against:
        other, _, _ = read(against, "", n, seed, whole=True)
        figures["contamination"][against] = contaminated(tasks, other)
        figures["contained"] = containment({source: tasks, against: other})
    if as_json:
        print(json.dumps(figures, indent=1))
    else:
        show(figures, tables)


def read(
    source: str, columns: str, n: int | None, seed: int, whole: bool = False
) -> tuple[list[Task], dict[str, int], tuple[int, int]]:
    """All tasks of a file, or n of each arm and split; how many rows were left out, by reason; and of these how many ask a
    question again, to the same answer and to another one."""
    from sharpen import core, tasks

    files = tasks.files_of(source)
    left: dict[str, int] = {}
    again = 0, 0
    if len(files) == 1 and source.strip() == files[0]:
        file = tasks.read_file(Path(places.here_tasks(files[0])), columns, lenient=True, whole=whole)
        found, left = file.source, {reason: count for reason, (count, _) in file.left_out.items()}
        again = file.again
    else:
        found = tasks.parse_spec(places.here_tasks(source), columns)
    listed = []
    for arm in found.arms:
        for split in core.SPLITS:
            size = found.size(arm, split)
            count = min(filter(None, (size, n)), default=0) if size is not None else (n or 200) if split == "train" else 0
            listed += [found.draw(arm, split, i, seed) for i in range(count if size != 0 else 0)]
    if not listed:
        raise core.UserError(f"{source} holds no tasks.")
    return listed, left, again


def measured(model: Path, tasks: list[Task], tried: int, samples: int, seed: int) -> tuple[dict[str, Any], Any]:
    from sharpen import loop
    from sharpen.data import measures
    from sharpen.terminal import Terminal

    chosen = [tasks[i] for i in measures.sample(len(tasks), tried, seed)]
    with Terminal() as progress:
        return loop.difficulty(model, chosen, samples, seed, progress)


def duplicates(tasks: list[Task], found: made.Copies, again: int) -> dict[str, Any]:
    from sharpen.data import screen

    alike = sorted(found.alike, key=lambda pair: -pair[2])[:SHOWN]
    return {
        "exact": found.exact + again,
        "near": len({j for _, j, _ in found.alike}),
        "kept": len(found.kept(tasks)),
        "examples": [[round(o, 3), cut(screen.text(tasks[i])), cut(screen.text(tasks[j]))] for i, j, o in alike],
    }


def held_out(tasks: list[Task]) -> dict[str, Any]:
    """Training tasks in which held-out ones of the same set are."""
    return contaminated([t for t in tasks if t.split == "train"], [t for t in tasks if t.split != "train"])


def contaminated(tasks: list[Task], other: list[Task]) -> dict[str, Any]:
    """How many tasks hold one of the others: the same, with other numbers, or as a part; and examples."""
    from sharpen.data import screen

    kinds = screen.found_in([screen.text(task) for task in tasks], [screen.text(task) for task in other])
    named = ("same", "contains")
    return {
        "tasks": len(tasks),
        "held": len(other),
        **{name: sum(kind == name for kind in kinds) for name in named},
        "examples": [cut(screen.text(task)) for task, kind in zip(tasks, kinds) if kind][:SHOWN],
    }


def containment(sets: dict[str, list[Task]]) -> dict[str, Any]:
    from sharpen.data import containment as r2d2

    shares = {f"{a} in {b}": share for a, b, share in r2d2.contained(sets, least=0.0)}
    return {"shares": shares, "may go": r2d2.redundant(sets)}


def cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def show(figures: dict[str, Any], tables: Any) -> None:
    tables.say(f"{figures['source']}: {figures['tasks']:,} tasks")
    for reason, count in figures["left_out"].items():
        tables.say(f"  left out {count:,} × {reason}")
    rows = [
        (kind, name.replace("_", " "), number(value), MEASURES.get(name, ""))
        for kind in ("quality", "diversity", "complexity", "imitation")
        for name, value in figures[kind].items()
    ]
    tables.show(("", "measure", "value", "what it is"), rows)
    copies = figures["duplicates"]
    tables.say(f"\nduplicates: {copies['exact']:,} exact, {copies['near']:,} near; {copies['kept']:,} tasks without them")
    for overlap, first, second in copies["examples"]:
        tables.say(f"  {overlap:.2f}  {first}\n        {second}")
    for name, found in figures["contamination"].items():
        said = f"{found['same']:,} the same, {found['contains']:,} with other numbers or as a part"
        tables.say(f"\nof {found['tasks']:,} tasks, in {name} ({found['held']:,}): {said}")
        for example in found["examples"]:
            tables.say(f"  {example}")
    for name, share in figures.get("contained", {}).get("shares", {}).items():
        tables.say(f"{share:.1%} of the questions of {name}")
    if "difficulty" in figures:
        shown = {**figures["difficulty"]["arms"], "all": figures["difficulty"]}
        listed = [
            (arm, percent(f["rate"]), interval(f["ci95"]), f["never"], f["sometimes"], f["always"]) for arm, f in shown.items()
        ]
        tables.say("")
        tables.show(("arm", "right", "95 %", "never", "sometimes", "always"), listed)


def number(value: float | None) -> str:
    return (
        "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    )


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def interval(values: list[float] | None) -> str:
    return "" if values is None else f"{values[0]:.1%} to {values[1]:.1%}"
