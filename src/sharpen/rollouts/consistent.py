"""Programs and tests that the student writes itself, run against each other, and a few questions to somebody who knows.

ConAIR (arXiv 2411.15587): both may be wrong, so what is asked about is a test, which is easier to judge than a program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from sharpen.core import PLAIN, Ask, Ran, RolloutGenerator, Run, Task, Turn
from sharpen.rollouts.rollout import with_system
from sharpen.verify import consistency
from sharpen.verify.code import LANGUAGES, extract

TEST = (
    "Do not write the program. Write one test of it: the line INPUT:, what it reads, the line OUTPUT:, and exactly what it "
    "should print."
)
FORM = re.compile(r"INPUT:[ \t]*\n?(.*?)\n?OUTPUT:[ \t]*\n?(.*)", re.DOTALL)
REPAIR = "On this input the program above is wrong:\n{given}\nIt should print:\n{wanted}\nWrite the whole program again."
Test = tuple[str, str]  # input, output
Oracle = Callable[[Task, Test], Generator[Any, Any, bool]]


def read_test(text: str) -> Test | None:
    """Input and output of a test as `TEST` asks for it; None where it is none."""
    found = FORM.search(text)
    return (found[1].strip("\n"), found[2].strip()) if found and found[2].strip() else None


def by_solution(task: Task, test: Test) -> Generator[Any, Any, bool]:
    """Whether the task's own solution prints that: who stands in for a person where there is one. Without a solution every test
    is called wrong, so nothing is confirmed."""
    if task.solution is None:
        return False
    ran = yield Run(source(task.solution), stdin=test[0])
    return same(ran, test)


def same(ran: Ran, test: Test) -> bool:
    return ran.status == "ok" and ran.stdout.strip().split() == test[1].split()


def conair(task: Task, codes: int = 4, tests: int = 4, questions: int = 3, oracle: Oracle = by_solution) -> RolloutGenerator:
    """The program that `consistency.choose` finds among several, after so many questions about tests. Where questions are left,
    they are about tests that it fails: at the first that is right, it is repaired.

    Programs and tests are drawn at temperature 1, in evaluations too. With no questions it is CodeT. Where no test can be read,
    the first program stands.
    """
    ask, probe = Ask(with_system(task, ""), sampling=PLAIN), Ask(with_test(task), sampling=PLAIN)
    said: list[Turn] = yield [ask] * codes + [probe] * tests
    programs, found = said[:codes], list(dict.fromkeys(t for turn in said[codes:] if (t := read_test(turn.text))))
    ran: list[Ran] = yield [Run(source(turn.text), stdin=test[0]) for turn in programs for test in found]
    passed = np.array([same(one, found[i % len(found)]) for i, one in enumerate(ran)], dtype=bool).reshape(codes, len(found))
    answers: dict[int, bool] = {}
    while len(answers) < questions and (test := consistency.next_test(passed, answers)) is not None:
        answers[test] = yield from oracle(task, found[test])
    chosen = consistency.choose(passed, answers).chosen or 0
    for test in np.flatnonzero(~passed[chosen]).tolist():  # what it fails may be its mistake, or the test's
        if test in answers or len(answers) >= questions:
            continue
        answers[test] = yield from oracle(task, found[test])
        if answers[test]:
            words = REPAIR.format(given=found[test][0], wanted=found[test][1])
            return (yield Ask(({"role": "user", "content": words},), after=programs[chosen]))
    return programs[chosen]


def source(response: str) -> str:
    """The program in a response."""
    return extract(response, LANGUAGES["python"])[0]


def with_test(task: Task) -> Any:
    *before, question = with_system(task, "")
    return (*before, {**question, "content": f"{question['content']}\n\n{TEST}"})
