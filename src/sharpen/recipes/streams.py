"""A stream: a recipe over task sets that come one after the other, each a stage of its own.

    a.jsonl,b.jsonl,c.jsonl      three files: first the tasks of a, then those of b, then those of c
    chain_sum/1-2+gcd,lcm        two sets, of which the first is two families

All stages have the same source and are measured on all of it, so that every round is a row of the accuracy matrix; each
practises the arms of its own set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

from sharpen import guard, tasks
from sharpen.core import UserError
from sharpen.guard import handover
from sharpen.recipe import Method, Recipe, Stage, Stages, asked_for, first_objective

CARRIES = ("earlier", "stage")  # what a function asks for that is worth something only where stages came before


def sets_of(text: str) -> list[str]:
    """The task sets of a stream, each a SPEC as `--tasks` takes it. UserError where there are fewer than two, or one twice."""
    found = [part.strip().replace("+", ",") for part in text.split(",") if part.strip()]
    if len(found) < 2:
        raise UserError(
            f"--stream {text}: a stream is two task sets or more, one after the other, and this is {len(found)}. Name them "
            "with commas between, such as a.jsonl,b.jsonl, and with + within a set; or take --tasks for a single one."
        )
    if twice := next((part for part in found if found.count(part) > 1), None):
        raise UserError(f"--stream names {twice} twice, and what was learnt of it could not be told apart. Leave one out.")
    return found


def whole(text: str) -> str:
    """All task sets of a stream as one SPEC."""
    return ",".join(sets_of(text))


def over(method: Method, text: str, map: str = "") -> Stages:
    """The method as stages, one for each task set with an equal share of the budget. What a single stage says of its hand-over
    and gate, all have; of two stages the second is for all sets but the first. UserError where the method has more stages
    itself, or a set shares arms with another."""
    stages = method.stages if isinstance(method, Stages) else (Stage("", method, 1.0, handover.last, guard.always),)
    if len(stages) > 2:
        own = ", ".join(stage.name for stage in stages)
        raise UserError(f"--stream makes a stage of each task set, and this recipe has stages already: {own}. Take another.")
    sets = sets_of(text)
    names = named(sets)
    found = [(name, arms_of(part, map)) for name, part in zip(names, sets, strict=True)]
    held = dict[str, str]()
    for name, arms in found:
        for arm in arms:
            if (other := held.setdefault(arm, name)) != name:
                raise UserError(
                    f"{arm} is in {other} and in {name}: a stream measures each task set by itself, so name it in one of them "
                    'only, or give the lines of a file another "family".'
                )
    spec = partial(tasks.parse_spec, whole(text))
    part = round(1 / len(sets), 9)
    made = [replace(stage, recipe=replace(stage.recipe, tasks=spec), share=part) for stage in stages]
    return Stages(tuple(replace(made[-1 if i else 0], name=n, arms=arms) for i, (n, arms) in enumerate(found)))


def named(sets: list[str]) -> list[str]:
    """A word for each set: of a file its name without the ending."""
    words: list[str] = []
    for part in sets:
        pieces = [
            re.sub(r"\.(jsonl|json|csv|tsv|parquet)(\.gz)?$", "", piece.rstrip("/").rpartition("/")[2])
            if re.search(r"\.\w+$", piece)
            else piece
            for piece in part.split(",")
        ]
        word = re.sub(r"\W+", "_", "_".join(pieces)).strip("_") or "set"
        word = word if not word[0].isdigit() else f"set_{word}"
        words.append(word if word not in words else f"{word}_{len(words) + 1}")
    return words


@lru_cache(maxsize=64)
def arms_of(part: str, map: str) -> tuple[str, ...]:
    """FAMILY/LEVEL of every arm of a set. A file is read once a process."""
    return tuple(str(arm) for arm in tasks.parse_spec(part, map if map and tasks.files_of(part) else "").arms)


def needs(recipe: Recipe) -> bool:
    """Whether a recipe carries something over from earlier stages, so that a run of one stage leaves that out."""
    slots: tuple[Callable[..., object], ...] = (recipe.select, recipe.objective, recipe.curriculum)
    tableau = first_objective(recipe)
    return tableau.keep is not None or any(set(CARRIES) & asked_for(slot) for slot in slots)
