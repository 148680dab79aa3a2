"""An answer in pieces, which joined are the whole of it: what a reward model scores one after the other.

A piece keeps the spaces behind it, so that nothing of the answer is lost, and the final answer in <answer>…</answer> is a piece
of its own.
"""

from __future__ import annotations

import re

from sharpen.core import Task

LINE, WORD = re.compile(r"\s*[^\n]*\S[^\n]*\n*"), re.compile(r"\s*\S+\s*")
ANSWER = "<answer>"
MOST = 256  # pieces; what comes behind is one with the last


def whole(answer: str) -> tuple[str, ...]:
    """One piece."""
    return (answer,)


def lines(answer: str) -> tuple[str, ...]:
    """Each line that is not blank; one piece where there is nothing."""
    return _cut(LINE, answer)


def words(answer: str) -> tuple[str, ...]:
    """Each word; one piece where there is nothing."""
    return _cut(WORD, answer)


def steps(answer: str) -> tuple[str, ...]:
    """The lines of a working that has several, else its words; and the final answer."""
    working, mark, rest = answer.partition(ANSWER)
    by = LINE if "\n" in working.strip() else WORD
    found = (*_cut(by, working), mark + rest) if working.strip() and mark else _cut(by, answer) if not mark else (answer,)
    return found if len(found) <= MOST else (*found[: MOST - 1], "".join(found[MOST - 1 :]))


def from_start(answer: str) -> tuple[str, ...]:
    """`steps`, and before them an empty piece: what is to be said of the question alone."""
    return ("", *steps(answer))


def of_answer(task: Task, answer: str) -> tuple[str, ...]:
    """`steps`, for who asks with the task."""
    return steps(answer)


def _cut(pattern: re.Pattern[str], answer: str) -> tuple[str, ...]:
    found = pattern.findall(answer)
    rest = answer[sum(map(len, found)) :]
    if not found:
        return (answer,)
    return (*found[:-1], found[-1] + rest)


def against_solution(task: Task, steps_said: tuple[str, ...] | list[str]) -> list[bool] | None:
    """Of each piece whether it is the worked solution's at the same place, apart from spaces; one too many is wrong. None where
    there is no solution. Exact where a task has one right working, such as a chain of numbers."""
    if task.solution is None:
        return None
    wanted = [step.split() for step in steps(task.solution)]
    return [i < len(wanted) and step.split() == wanted[i] for i, step in enumerate(steps_said)]


def first_wrong(right: list[bool]) -> int | None:
    """The number of the first wrong one, from 0; None where there is none."""
    return next((i for i, yes in enumerate(right) if not yes), None)
