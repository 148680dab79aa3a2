"""A program that answers questions from their text alone: the label of a question that a model wrote.

Of the families below it knows the form of the question, word for word, and computes the answer; a question in any other form
has none (None), so what a model writes and this answers is a well-formed question of its family with one right answer.

    answered(text)  -> Answered(family, answer, solution), or None

Parsed, never evaluated: numbers, words and signs are found by regular expressions of fixed form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from sharpen.core import Task
from sharpen.tasks.solutions import solve

LONGEST = 1_000  # characters of a question
INTEGER = r"-?\d{1,9}"


@dataclass(frozen=True)
class Answered:
    """The family whose question it is, its right answer, and a worked solution where there is a writer."""

    family: str
    answer: str
    solution: str | None


def answered(question: str) -> Answered | None:
    """The answer to a question of one of FORMS; None for any other text."""
    for family, (form, compute) in FORMS.items() if len(question) <= LONGEST else ():
        if found := form.fullmatch(question.strip()):
            made = compute(found)
            return None if made is None else Answered(family, made[0], solve(family, *made))
    return None


def answer_of(task: Task) -> str | None:
    """The right answer of a task by its question, where the question is of the family that the task was made from."""
    content = task.prompt[-1]["content"] if task.prompt else ""
    made = answered(content) if isinstance(content, str) else None
    return made.answer if made and task.family.startswith(made.family) else None


def knows(task: Task) -> bool:
    """Whether a task is of a family of FORMS, or was made from one."""
    return any(task.family.startswith(family) for family in FORMS)


Made = tuple[str, Mapping[str, Any]]  # the answer, and what the writer of the solution reads


def backward(found: re.Match[str]) -> Made:
    return found[1][::-1], {}


def reversed_words(found: re.Match[str]) -> Made:
    return ", ".join(reversed(found[1].split(", "))), {}


def summed(found: re.Match[str]) -> Made:
    first, *rest = found[1].split()
    value = int(first) + sum((1 if sign == "+" else -1) * int(n) for sign, n in zip(rest[::2], rest[1::2], strict=True))
    return str(value), {"expression": found[1]}


def multiplied(found: re.Match[str]) -> Made:
    return str(math.prod(map(int, found[1].split(" * ")))), {"expression": found[1]}


def divisor(found: re.Match[str]) -> Made:
    numbers = [int(n) for n in found[1].split(", ")]
    return str(math.gcd(*numbers)), {"numbers": numbers}


def multiple(found: re.Match[str]) -> Made | None:
    numbers = [int(n) for n in found[1].split(", ")]
    return (str(reduce(math.lcm, numbers)), {"numbers": numbers}) if all(numbers) else None


def ordered(found: re.Match[str]) -> Made:
    numbers = sorted(found[2].split(", "), key=float, reverse=found[1] == "descending")
    return str([str(float(n)) if "." in n else n for n in numbers]), {}


def filtered(found: re.Match[str]) -> Made:
    verb, size, limit, listed = found.groups()
    numbers = listed.split(", ")
    inside = [
        n for n in numbers if (float(n.strip("'")) > float(limit)) == (size == "larger") and float(n.strip("'")) != float(limit)
    ]
    kept = [n for n in numbers if (n in inside) == (verb == "Keep")]
    return f"[{', '.join(kept)}]", {}


def turned(found: re.Match[str]) -> Made | None:
    rows = [line.split() for line in found[2].strip().split("\n")]
    if any(len(row) != len(rows) for row in rows) or int(found[1]) % 90:
        return None
    for _ in range(int(found[1]) // 90 % 4):
        rows = [list(row) for row in zip(*rows[::-1], strict=True)]
    return "\n".join(" ".join(row) for row in rows), {}


LISTED = (
    "\nPlease follow the instruction below:\n## 1. Let all your answers be a list of numbers. Instead of reporting your "
    "answer as -69, -13, 1, 7, 11, 43, 59, 61, use ['-69', '-13', '1', '7', '11', '43', '59', '61'] instead\n## 2. Convert all "
    "numbers in the square brackets as strings. For example, ['-69', '-13', '1', '7', '11', '43', '59', '61']"
)
MATRIX = (
    "Given a square matrix, your job is to rotate it clockwise.\n\nYour output should be a matrix in the same format as the "
    "input.\n\nRotate the matrix below by "
)
WORDS = (
    "Solve the following problem.\n\nProvide you answer as a comma-separated list of words with a space after the comma.\n\n"
    "Reverse this list of words: "
)
DECIMAL = r"-?\d{1,9}(?:\.0)?"
FORMS: Mapping[str, tuple[re.Pattern[str], Callable[[re.Match[str]], Made | None]]] = {
    "spell_backward": (re.compile(r"Spell this word backward \(example: sun -> nus\): ([A-Za-z]{1,40})"), backward),
    "word_sequence_reversal": (re.compile(re.escape(WORDS) + r"([\w']{1,40}(?:, [\w']{1,40})+)"), reversed_words),
    "chain_sum": (
        re.compile(rf"State the final answer to the following arithmetic problem: ({INTEGER}(?: [+-] {INTEGER})+) ="),
        summed,
    ),
    "products": (
        re.compile(
            rf"Solve the following multiplication: ({INTEGER}(?: \* {INTEGER})+)\. Give only the result as your final answer\."
        ),
        multiplied,
    ),
    "gcd": (
        re.compile(
            r"Find the Greatest Common Divisor \(GCD\) of these numbers: (\d{1,9}(?:, \d{1,9})+)\. "
            r"Give only the GCD as your final answer\."
        ),
        divisor,
    ),
    "lcm": (re.compile(r"Find the Least Common Multiple \(LCM\) of these numbers: (\d{1,9}(?:, \d{1,9})+)"), multiple),
    "number_sorting": (
        re.compile(rf"Sort these numbers in (ascending|descending) order: ({DECIMAL}(?:, {DECIMAL})+){re.escape(LISTED)}"),
        ordered,
    ),
    "number_filtering": (
        re.compile(
            rf"(Keep|Remove) all numbers (larger|smaller) than ({DECIMAL}) in this list: \[('{DECIMAL}'(?:, '{DECIMAL}')*)\]\n"
            r"Return the new list in the same format\."
        ),
        filtered,
    ),
    "rotate_matrix": (
        re.compile(re.escape(MATRIX) + r"(\d{1,4}) degrees clockwise:\n(\d+(?: \d+)*(?:\n\d+(?: \d+)*)*)"),
        turned,
    ),
}
