"""Tasks made of others by program, and a source with grown tasks beside its own.

    interpolated   between two levels of a family: family "chain_sum_between", level 35 between 3 and 4
    composed       two questions in one: family "chain_sum+gcd", level the sum of the two
    with_grown     a source that draws them too, and training tasks with mended labels

Their right answers are a program's, and another one checks it: the data set's own scorer for `interpolated`, and for `composed`
whatever checked the two parts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sharpen.core import Arm, Task, TaskSource, UserError
from sharpen.families import LISTED, SCORED, between, dataset_of
from sharpen.hashing import derive, split_of
from sharpen.tasks.gym import INDICES, TRIES, sound, task_of

SKIPPED = 10_000  # tasks of an arm that a draw passes over, where they were dropped
BOTH = "Answer both questions.\n1. {0}\n2. {1}\nGive the two answers in this order, with a {2} between them."


def halfway(family: str, low: int, high: int) -> Arm | None:
    """The arm of tasks between two levels of a family; None where nothing is between them, or a scorer judges them."""
    if family in SCORED or between(family, low, high) is None:
        return None
    return Arm(f"{family}_between", 5 * (low + high))


@functools.cache
def _dataset(family: str, low: int, high: int) -> Any:
    settings = between(family, low, high)
    return dataset_of(family, settings) if settings else None


def interpolated(family: str, low: int, high: int, seed: int, parents: tuple[str, ...] = (), tries: int = TRIES) -> Task:
    """A training task between two levels that `halfway` has an arm for; a pure function of its arguments.

    Raises UserError where that many tries found no question of the training split.
    """
    arm, source = halfway(family, low, high), _dataset(family, low, high)
    if arm is None or source is None:
        raise UserError(f"{family} has nothing between its levels {low} and {high}")
    for attempt in range(tries):
        entry = source[derive(seed, "between", family, low, high, attempt) % LISTED.get(family, INDICES)]
        prompt = ({"role": "user", "content": entry["question"]},)
        if split_of(prompt) == "train" and sound(family, entry) and source.score_answer(entry["answer"], entry) >= 1:
            task = task_of(Arm(family, low), "train", prompt, entry)
            operator = f"between {family}/{low} and {family}/{high}"
            return replace(task, family=arm.family, level=arm.level, parents=parents, operator=operator)
    raise UserError(f"between {family}/{low} and {family}/{high} there is no question of the training split in {tries} tries")


def composed(first: Task, second: Task, parents: tuple[str, ...] = ()) -> Task | None:
    """Both questions as one training task; None where their answers cannot stand side by side.

    Numbers and lists of numbers become one list, judged by `numbers`; texts of one line, judged letter for letter, are joined.
    """
    answers = first.answer, second.answer
    if not all(answers) or any(task.data for task in (first, second)):
        return None
    kinds = {"numbers" if task.verifier == "number" else task.verifier for task in (first, second)}
    lines = [str(answer).strip().strip("[]").replace("'", "") for answer in answers]
    if kinds == {"numbers"}:
        mark, name = ", ", "comma"
    elif kinds == {"exact"} and not any("\n" in line or ";" in line for line in lines):
        mark, name, lines = "; ", "semicolon", [str(answer).strip() for answer in answers]
    else:
        return None
    answer = mark.join(lines)
    question = BOTH.format(*(str(task.prompt[-1]["content"]).strip() for task in (first, second)), name)
    workings = [(task.solution or "").rpartition("<answer>")[0] for task in (first, second)]
    return Task(
        prompt=({"role": "user", "content": question},),
        answer=answer,
        family=f"{first.family}+{second.family}",
        level=first.level + second.level,
        verifier=kinds.pop(),
        solution=f"{' '.join(filter(None, workings))}<answer>{answer}</answer>" if all(workings) else None,
        parents=parents,
        operator=f"both {first.arm} and {second.arm}",
    )


def with_grown(source: TaskSource, grown: Sequence[Task], repairs: Mapping[str, Task | None] | None = None) -> TaskSource:
    """The source with arms of grown tasks beside its own: training tasks, drawn as they came, again and again.

    More tasks leave all earlier indices below the old size as they are. The arms must be none of the source's.

    repairs  by the id of a training task what is drawn in its place: the task with another label, or, where that is None, the
             arm's next one
    """
    if not grown and not repairs:
        return source
    own: dict[Arm, list[Task]] = {}
    for task in grown:
        own.setdefault(task.arm, []).append(task)

    def size(arm: Arm, split: str) -> int | None:
        return (len(own[arm]) if split == "train" else 0) if arm in own else source.size(arm, split)

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        if arm not in own:
            return source.draw(arm, split, index, seed)
        if split != "train":
            raise UserError(f"{arm} has grown, and grown tasks are for training: it has none of the {split} split.")
        return own[arm][index % len(own[arm])]

    name = f"{source.name} + grown" if grown else source.name
    drawn = repaired(draw, repairs) if repairs else draw
    return TaskSource(name, tuple(sorted({*source.arms, *own})), drawn, size, source.notes, source.languages)


def repaired(draw: Callable[..., Task], repairs: Mapping[str, Task | None]) -> Callable[..., Task]:
    """The same draw, of which training tasks are as they were repaired. UserError where SKIPPED in a row are dropped."""

    def mended(arm: Arm, split: str, index: int, seed: int) -> Task:
        for i in range(SKIPPED if split == "train" else 1):
            task: Task | None = draw(arm, split, index + i, seed)
            while split == "train" and task is not None and task.id in repairs:
                task = repairs[task.id]
            if task is not None:
                return task
        raise UserError(f"{arm}: the labels of {SKIPPED} training tasks in a row were found wrong, and none is left to draw.")

    return mended
