"""Arithmetic and reading without end: questions in plain words that a small chat model half knows, judged by `math`.

1. A family is one thing to do, and its level says how large or how many the numbers are.
2. A question's split is decided by its hash (`hashing.split_of`), so no question of the test split is ever trained on.
3. `lines` writes any source as a file of tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError, suggest
from sharpen.hashing import derive, question_key, split_of

TRIES = 500  # draws before a split is called empty; one question in ten is in the smallest split
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}  # of a file that `lines` makes

NAMES = "Anna Ben Clara David Emma Felix Grace Hugo Ida Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Will".split()
THINGS = "apples books coins eggs flowers letters marbles pencils shells stamps stickers tickets".split()


def arithmetic(families: Sequence[str] | str = "") -> TaskSource:
    """All families, or those named, with all their levels. Raises UserError for an unknown one."""
    listed = families.split(",") if isinstance(families, str) else families
    names = [name.strip() for name in listed if name.strip()] or list(FAMILIES)
    for name in names:
        if name not in FAMILIES:
            raise UserError(
                f"There is no family of arithmetic {name!r}.{suggest(name, FAMILIES)} There are: {', '.join(FAMILIES)}."
            )
    arms = tuple(Arm(name, level) for name in sorted(set(names)) for level in range(1, FAMILIES[name][1] + 1))
    return TaskSource("arithmetic", arms, draw)


def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
    """The task of that number; a pure function of its arguments. Raises UserError where TRIES draws found none of the split."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    ask = FAMILIES[arm.family][0]
    for attempt in range(TRIES):
        question, answer = ask(arm.level, Random(derive(seed, split, arm.family, arm.level, index, attempt)))
        prompt = ({"role": "user", "content": question},)
        if split_of(prompt) == split:
            return Task(prompt, str(answer), arm.family, arm.level, split, "math")
    raise UserError(f"{arm} has no question in the {split} split: {TRIES} draws found none.")


def said(texts: Sequence[str], *numbers: int) -> str:
    """One wording for the same numbers, always: else a question of the test split would be trained on in other words."""
    return texts[derive(0, "said", *numbers) % len(texts)]


def add(level: int, rng: Random) -> tuple[str, int]:
    """Up to twenty and ten."""
    a, b = rng.randint(1, 20), rng.randint(1, 10)
    a, b = rng.choice(((a, b), (b, a)))
    return said((f"What is {a} + {b}?", f"{a} + {b} = ?", f"What is {a} plus {b}?", f"Add {a} and {b}."), a, b), a + b


def subtract(level: int, rng: Random) -> tuple[str, int]:
    """Up to ten from up to twenty-five. Never below zero."""
    a = rng.randint(1, 25)
    b = rng.randint(1, min(a, 10))
    left = f"Take {b} away from {a}. What is left?"
    return said((f"What is {a} - {b}?", f"{a} - {b} = ?", f"What is {a} minus {b}?", left), a, b), a - b


def multiply(level: int, rng: Random) -> tuple[str, int]:
    """Up to twenty times ten; up to sixty times five. No two levels share a question, here and below."""
    a, b = (rng.randint(1, 20), rng.randint(1, 10)) if level == 1 else (rng.randint(21, 60), rng.randint(2, 5))
    a, b = rng.choice(((a, b), (b, a)))
    return said((f"What is {a} * {b}?", f"{a} * {b} = ?", f"What is {a} times {b}?", f"Multiply {a} by {b}."), a, b), a * b


def largest(level: int, rng: Random) -> tuple[str, int]:
    """Of two and of three numbers."""
    numbers = rng.sample(range(1, 100), level + 1)
    listed = ", ".join(map(str, numbers))
    asked: tuple[str, ...] = (
        f"Which of these numbers is the largest: {listed}?",
        f"What is the largest number in this list: {listed}?",
    )
    if level == 1:
        asked = tuple(f"Which number is {word}, {numbers[0]} or {numbers[1]}?" for word in ("larger", "greater"))
    return said(asked, *numbers), max(numbers)


def smallest(level: int, rng: Random) -> tuple[str, int]:
    """Of three numbers."""
    numbers = rng.sample(range(1, 100), 3)
    listed = ", ".join(map(str, numbers))
    asked = f"Which of these numbers is the smallest: {listed}?", f"What is the smallest number in this list: {listed}?"
    return said(asked, *numbers), min(numbers)


def place(level: int, rng: Random) -> tuple[str, int]:
    """The first or last of four numbers; the second or third."""
    numbers = rng.sample(range(1, 100), 4)
    word, i = rng.choice((("first", 0), ("last", 3)) if level == 1 else (("second", 1), ("third", 2)))
    return f"What is the {word} number in this list: {', '.join(map(str, numbers))}?", numbers[i]


def count_on(level: int, rng: Random) -> tuple[str, int]:
    """The number after another, up to five hundred."""
    a = rng.randint(1, 500)
    return said((f"What number comes right after {a}?", f"Which number follows {a}?"), a), a + 1


def total(level: int, rng: Random) -> tuple[str, int]:
    """Of three numbers up to seven."""
    a, b, c = (rng.randint(1, 7) for _ in range(3))
    return said((f"What is the sum of {a}, {b} and {c}?", f"What is {a} + {b} + {c}?"), a, b, c), a + b + c


def read(level: int, rng: Random) -> tuple[str, int]:
    """What a sentence says of two things; of three; of one of two people. Nothing is to be calculated."""
    (who, other), things = rng.sample(NAMES, 2), rng.sample(THINGS, 3)
    numbers = rng.sample(range(2, 31), 3)
    i = rng.randrange(3 if level == 2 else 2)
    (x, y, z), (a, b, c) = things, numbers
    if level == 1:
        has = f"{who} has {a} {x} and {b} {y}. How many {things[i]} does {who} have?"
        cost = f"The {x} cost {a} dollars and the {y} cost {b} dollars. How many dollars do the {things[i]} cost?"
        return rng.choice((has, cost)), numbers[i]
    if level == 2:
        return f"{who} has {a} {x}, {b} {y} and {c} {z}. How many {things[i]} does {who} have?", numbers[i]
    return f"{who} has {a} {x}. {other} has {b} {x}. How many {x} does {(who, other)[i]} have?", numbers[i]


def story(level: int, rng: Random) -> tuple[str, int]:
    """One step up; one step down; so many each."""
    (who, other), (what, more) = rng.sample(NAMES, 2), rng.sample(THINGS, 2)
    a, b = rng.randint(2, 10), rng.randint(2, 9)
    if level == 1:
        gives = f"{who} has {a} {what}. {other} gives {who} {b} more. How many {what} does {who} have now?"
        both = f"{who} has {a} {what} and {b} {more}. How many things does {who} have in all?"
        together = f"{who} has {a} {what} and {other} has {b} {what}. How many {what} do they have together?"
        return rng.choice((gives, both, together)), a + b
    if level == 2:
        gives = f"{who} has {a + b} {what} and gives {b} of them to {other}. How many {what} does {who} have now?"
        loses = f"{who} has {a + b} {what} and loses {b} of them. How many {what} are left?"
        return rng.choice((gives, loses)), a
    each = f"{who} has {b} boxes with {a} {what} in each. How many {what} does {who} have in all?"
    days = f"{who} buys {a} {what} every day. How many {what} does {who} buy in {b} days?"
    return rng.choice((each, days)), a * b


# name: (level, rng) -> question and answer; how many levels
FAMILIES: dict[str, tuple[Callable[[int, Random], tuple[str, int]], int]] = {
    "add": (add, 1),
    "subtract": (subtract, 1),
    "multiply": (multiply, 2),
    "largest": (largest, 2),
    "smallest": (smallest, 1),
    "place": (place, 2),
    "count_on": (count_on, 1),
    "total": (total, 1),
    "read": (read, 3),
    "story": (story, 3),
}


def lines(source: TaskSource, n: int, seed: int = 0) -> Iterator[str]:
    """Lines for a file of tasks: about n of each arm, no question twice, in the splits of SHARES."""
    seen = set()
    for arm in source.arms:
        for split, share in SHARES.items():
            for index in range(max(round(n * share), 1)):
                task = source.draw(arm, split, index, derive(seed, "tasks"))
                if (key := question_key(task.prompt)) in seen:
                    continue
                seen.add(key)
                yield json.dumps(line_of(task), ensure_ascii=False)


def line_of(task: Task) -> dict[str, Any]:
    """The task as a line of a file."""
    fields = {"prompt": list(task.prompt) if len(task.prompt) > 1 else task.prompt[0]["content"]}
    fields |= {"answer": task.answer, "verifier": task.verifier, "family": task.family, "level": task.level}
    return fields | {"split": task.split} | ({"solution": task.solution} if task.solution else {}) | dict(task.data)
