"""Arithmetic and reading without end: questions in plain words that a small chat model half knows, judged by `math`.

1. A family is one thing to do, and its level says how large or how many the numbers are.
2. A question's split is decided by its hash (`hashing.split_of`), so no question of the test split is ever trained on.
3. `lines` writes any source as a file of tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random

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
    """Up to twenty and ten; up to sixty and nine; up to sixty and fifty. No two levels share a question, here and below."""
    (a_low, a_high), (b_low, b_high) = (((1, 20), (1, 10)), ((21, 60), (2, 9)), ((21, 60), (10, 50)))[level - 1]
    a, b = rng.randint(a_low, a_high), rng.randint(b_low, b_high)
    a, b = rng.choice(((a, b), (b, a)))
    return said((f"What is {a} + {b}?", f"What is {a} plus {b}?", f"Add {a} and {b}."), a, b), a + b


def subtract(level: int, rng: Random) -> tuple[str, int]:
    """Up to thirty and twelve; up to sixty and nine; up to sixty and fifty. Never below zero."""
    (a_low, a_high), (b_low, b_high) = (((1, 30), (1, 12)), ((31, 60), (2, 9)), ((31, 60), (10, 50)))[level - 1]
    a, b = rng.randint(a_low, a_high), rng.randint(b_low, b_high)
    a, b = max(a, b), min(a, b)
    return said((f"What is {a} - {b}?", f"What is {a} minus {b}?", f"Subtract {b} from {a}."), a, b), a - b


def multiply(level: int, rng: Random) -> tuple[str, int]:
    """Up to twenty times ten; up to sixty times nine."""
    a, b = (rng.randint(1, 20), rng.randint(1, 10)) if level == 1 else (rng.randint(21, 60), rng.randint(2, 9))
    a, b = rng.choice(((a, b), (b, a)))
    return said((f"What is {a} * {b}?", f"What is {a} times {b}?", f"Multiply {a} by {b}."), a, b), a * b


def largest(level: int, rng: Random) -> tuple[str, int]:
    """Of three, four and six numbers."""
    numbers = rng.sample(range(1, 100), (3, 4, 6)[level - 1])
    listed = ", ".join(map(str, numbers))
    asked = f"Which of these numbers is the largest: {listed}?", f"What is the largest number in this list: {listed}?"
    return said(asked, *numbers), max(numbers)


def total(level: int, rng: Random) -> tuple[str, int]:
    """Of three and four numbers of one digit."""
    numbers = [rng.randint(1, 9) for _ in range(level + 2)]
    listed = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    return said((f"What is the sum of {listed}?", f"Find the sum of {listed}."), *numbers), sum(numbers)


def story(level: int, rng: Random) -> tuple[str, int]:
    """One step up or down; so many each; two steps."""
    who, other = rng.sample(NAMES, 2)
    what, a, b, c = rng.choice(THINGS), rng.randint(2, 10), rng.randint(2, 10), rng.randint(2, 10)
    ask = f"How many {what} does {who} have now?"
    if level == 1:
        more = f"{who} has {a} {what}. {other} gives {who} {b} more. {ask}", a + b
        fewer = f"{who} has {a + b} {what} and gives {b} of them to {other}. {ask}", a
        return rng.choice((more, fewer))
    if level == 2:
        each = f"{who} has {b} boxes with {a} {what} in each. How many {what} does {who} have in all?", a * b
        week = f"{who} buys {a} {what} every day. How many {what} does {who} buy in {b} days?", a * b
        return rng.choice((each, week))
    down = f"{who} has {a + c} {what}, finds {b} more and gives {c} to {other}. {ask}", a + b
    up = f"{who} has {a} {what}. {other} has {b} more than {who}. How many {what} do they have together?", 2 * a + b
    return rng.choice((down, up))


# name: (level, rng) -> question and answer; how many levels
FAMILIES: dict[str, tuple[Callable[[int, Random], tuple[str, int]], int]] = {
    "add": (add, 3),
    "subtract": (subtract, 3),
    "multiply": (multiply, 2),
    "largest": (largest, 3),
    "total": (total, 2),
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
                fields = {"prompt": list(task.prompt) if len(task.prompt) > 1 else task.prompt[0]["content"]}
                fields |= {"answer": task.answer, "verifier": task.verifier, "family": task.family, "level": task.level}
                fields |= {"split": split} | ({"solution": task.solution} if task.solution else {}) | dict(task.data)
                yield json.dumps(fields, ensure_ascii=False)
