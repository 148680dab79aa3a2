"""Verdicts on programs: a task's cases are run in the sandbox, in any of twelve languages, and judged outside it.

1. `extract` takes the code from a response; `execution` compiles it once and runs it on every case; `comparing` decides here,
   in our process, on the bytes that came back. What is expected never enters the sandbox that the candidate runs in.
2. So nothing that a candidate does to its own process can make it correct: it can only print or return something else. What
   it could still do is to break out of the sandbox; `sharpen.sandbox` says what holds it there, and the verdict's `isolation`
   at which level it ran.
3. Outcomes. correct: every case passed. Otherwise the first case that failed decides: wrong (ended well, wrong output),
   crash (exit code other than 0, or a signal), timeout, limit (memory, or too much output). malformed: there is no code, or the
   compiler (for Python the parser) refuses it. unscorable: the sandbox failed. `parts["passed"]` is the share of cases.

May import: sandbox, verify.maths.
"""

from __future__ import annotations

import functools
import json
import os
import re
import secrets
from collections.abc import Sequence
from typing import Any

from sharpen import sandbox
from sharpen.core import Task, TaskSource, UserError, Verdict
from sharpen.verify.code.comparing import read_value, same_text, same_value
from sharpen.verify.code.execution import OUTPUT_BYTES, Budget, Built, Ran, Refused, build, driver, execute, last_line, least
from sharpen.verify.code.extraction import extract
from sharpen.verify.code.languages import LANGUAGES, installed, language_of, missing
from sharpen.verify.code.problems import FIELDS, Case, Checker, Problem, problem_of

__all__ = [
    "Budget",
    "FIELDS",
    "LANGUAGES",
    "Refused",
    "build",
    "code_io",
    "driver",
    "execute",
    "extract",
    "language_of",
    "last_line",
    "missing",
    "problem_of",
    "require",
]

VERSION = "3"  # raised whenever a verdict could change
LONGEST_CODE = 100_000  # characters
CHECKER = Budget(seconds=10.0, memory_mb=1024, all_s=10.0)
ADDRESS = re.compile(r"0x[0-9a-f]+")
WORDS = {
    "wrong": "wrong answer",
    "crash": "the program crashed",
    "timeout": "the time limit was exceeded",
    "limit": "the memory or output limit was exceeded",
}


def code_io(task: Task, response: str) -> Verdict:
    """Run the code in a response on the task's cases and compare what it prints or returns. Task data: `problems`.

    Raises UserError where the task's data is no problem, its language is not installed, or the sandbox is weaker than asked.
    """
    problem = problem_of(task.data)
    code, where = extract(response, problem.language, problem.function.name if problem.function else "")
    rule = f"{problem.language.name} {'function' if problem.function else 'stdin and stdout'}, {where}"
    rule += ", checker" if problem.checker else ""

    def verdict(outcome: str, feedback: str = "", passed: float = 0.0, isolation: str = "") -> Verdict:
        reward = None if outcome == "unscorable" else 1.0 if outcome == "correct" else passed if problem.partial else 0.0
        parts = {} if outcome == "unscorable" else {"passed": passed}
        return Verdict(outcome, reward, parts, feedback, rule, VERSION, isolation)

    if not code.strip():
        return verdict("malformed", "There is no code.")
    if len(code) > LONGEST_CODE:
        return verdict("limit", f"The code has more than {LONGEST_CODE} characters.")
    nonce = secrets.token_hex(16)
    built = _build(problem, code)
    if isinstance(built, Refused):
        return verdict(built.outcome, f"This is no program: {ADDRESS.sub('0x…', built.reason)}", isolation=built.isolation)
    inputs = [_input(problem, case, nonce) for case in problem.cases]
    limits = Budget(problem.seconds, problem.memory_mb, stack_mb=problem.stack_mb, output_bytes=_output_bytes(problem))
    runs = execute(built, inputs, limits)
    levels = [level for level in (built.isolation, *(run.isolation for run in runs)) if level]
    isolation = max(levels, key=sandbox.LEVELS.index, default="none")  # the weakest
    if failed := next((run for run in runs if run.status == "failed"), None):
        return verdict("unscorable", f"the sandbox failed: {last_line(failed.stderr)}", isolation=isolation)
    if sandbox.LEVELS.index(isolation) > sandbox.LEVELS.index(least()):
        return verdict("unscorable", f"the code ran at isolation {isolation}, below {least()}", isolation=isolation)
    outcomes = _outcomes(problem, runs, nonce)
    passed = outcomes.count("correct") / len(outcomes)
    number = next((i for i, outcome in enumerate(outcomes) if outcome != "correct"), None)
    if number is None:
        return verdict("correct", passed=1.0, isolation=isolation)
    if outcomes[number] == "unscorable":
        return verdict("unscorable", "the sandbox failed on the checker", isolation=isolation)
    said = ADDRESS.sub("0x…", last_line(runs[number].stderr)) if outcomes[number] in ("crash", "malformed") else ""
    if outcomes[number] == "malformed":
        return verdict("malformed", f"This is no program: {said}", isolation=isolation)
    feedback = f"Case {number + 1} of {len(outcomes)}: {WORDS[outcomes[number]]}{': ' if said else '.'}{said}"
    return verdict(outcomes[number], feedback, passed, isolation)


def require(source: TaskSource, level: str = "full") -> None:
    """Refuse to start where code of these tasks cannot be judged. From now on code runs at `level` at least, in children too.

    Does nothing where no task's verifier runs code. Raises UserError, with the cure, where the sandbox is weaker than `level`,
    or a language is not installed. Where the source does not say its
    languages, one task of an endless arm is looked at, and all of a finite one.
    """
    if level not in sandbox.LEVELS:
        raise UserError(f"isolation={level!r}: there are {', '.join(sandbox.LEVELS)}, the strongest first.")
    languages = set(source.languages or ())
    for arm in source.arms if source.languages is None else ():
        size = source.size(arm, "train")
        for task in (source.draw(arm, "train", i, 0) for i in range(1 if size is None else size)):
            if task.verifier == "code_io":
                problem = problem_of(task.data)
                languages |= {problem.language.name} | ({problem.checker.language.name} if problem.checker else set())
    for name in sorted(languages):
        installed(name)
    if languages:
        os.environ["SHARPEN_ISOLATION"] = level
        sandbox.shared(level)


def _build(problem: Problem, code: str) -> Built | Refused:
    name, function = problem.language.name, problem.function
    if function is None:
        return build(name, code, packages=problem.packages)
    end = {"python": "py", "javascript": "js"}[name]
    more = {f"solution.{end}": code.encode("utf-8", "replace")}
    more |= {f"preamble.{end}": function.preamble.encode("utf-8", "replace")} if function.preamble else {}
    text = (driver("values.py") if end == "py" else b"") + driver(f"function.{end}")
    return build(name, text.decode(), more, problem.packages)


def _output_bytes(problem: Problem) -> int:
    """What one case may print: twice as much as is expected, in JSON that writes a letter in six bytes, or more."""
    expected = (
        case.expected if problem.function is None else json.dumps(case.expected, default=list) for case in problem.cases
    )
    return max(OUTPUT_BYTES, *(2 * len(text.encode("utf-8", "surrogateescape")) for text in expected if text), 0)


def _input(problem: Problem, case: Case, nonce: str) -> bytes:
    if problem.function is None:
        return case.stdin.encode("utf-8", "surrogateescape")
    given = {"nonce": nonce, "name": problem.function.name, "args": case.args, "kwargs": case.kwargs}
    return json.dumps(given, default=list).encode()


def _outcomes(problem: Problem, runs: Sequence[Ran], nonce: str) -> list[str]:
    """What each case came to; a case that was not run because an earlier one timed out is a timeout too."""
    found = [_ended(run) for run in runs]
    given: dict[int, Any] = {}
    for number, case in enumerate(problem.cases):
        if case.raises:
            found[number] = _raised(problem, runs[number], nonce, case.raises) or found[number]
    for number in [i for i, outcome in enumerate(found) if outcome == "correct" and not problem.cases[i].raises]:
        found[number], given[number] = _given(problem, runs[number], nonce)
    ended = [i for i, outcome in enumerate(found) if outcome == "correct" and not problem.cases[i].raises]
    if problem.checker:
        for number, outcome in zip(ended, _checked(problem, problem.checker, [(i, given[i]) for i in ended])):
            found[number] = outcome
        return found
    for number in ended:
        expected = problem.cases[number].expected
        if problem.function:
            right = same_value(given[number], expected, problem.tolerance)
        else:
            right = same_text(given[number], expected.encode("utf-8", "surrogateescape"), problem.whitespace, problem.tolerance)
        found[number] = "correct" if right else "wrong"
    return found


def _ended(run: Ran) -> str:
    """The outcome of a run as far as it is decided without looking at the output: correct means that it ended well."""
    if run.status == "exited" and run.code == 0:
        return "correct"
    if run.status in ("memory", "output") or last_line(run.stderr).startswith("MemoryError"):
        return "limit"
    return {"timeout": "timeout", "skipped": "timeout", "refused": "malformed"}.get(run.status, "crash")


def _given(problem: Problem, run: Ran, nonce: str) -> tuple[str, Any]:
    """("correct", what the candidate gave) or the outcome of a function that gave nothing, or more than one thing."""
    if problem.function is None:
        return "correct", run.stdout
    start = f"{nonce} ".encode()
    found = [line for line in run.stdout.split(b"\n") if line.startswith(start)]
    if not found:
        return "crash", None
    if len(found) > 1:
        return "wrong", None
    try:
        return "correct", read_value(found[0][len(start) :])
    except ValueError:
        return "wrong", None


def _raised(problem: Problem, run: Ran, nonce: str, wanted: str) -> str:
    """The outcome of a case of which an exception is expected; "" where the run itself says it: a timeout, a limit."""
    if run.status != "exited":
        return ""
    _, value = _given(problem, run, nonce)
    raised = value.get("$raised") if isinstance(value, dict) and len(value) == 1 else None
    if run.code == 0:
        return "wrong"
    return ("correct" if wanted in raised else "wrong") if isinstance(raised, list) else "crash"


@functools.lru_cache(maxsize=256)
def _checker(language: str, code: str) -> Built:
    built = build(language, code)
    if isinstance(built, Refused):
        raise UserError(f"the task's checker is no {language} program: {built.outcome}: {built.reason}")
    return built


def _checked(problem: Problem, checker: Checker, given: Sequence[tuple[int, Any]]) -> list[str]:
    """The checker's word on each case, from a sandbox of its own: correct, wrong or unscorable."""
    if not given:
        return []
    inputs = []
    for number, value in given:
        case = problem.cases[number]
        shown: dict[str, Any] = {"args": case.args, "kwargs": case.kwargs} if problem.function else {"stdin": case.stdin}
        shown |= {"given": value.decode("utf-8", "replace") if isinstance(value, bytes) else value, "expected": case.expected}
        inputs.append(json.dumps(shown, default=list).encode())
    runs = execute(_checker(checker.language.name, checker.code), inputs, CHECKER)
    if any(run.status == "refused" for run in runs):
        raise UserError(f"the task's checker is no {checker.language.name} program: {last_line(runs[0].stderr)}")
    return ["unscorable" if run.status == "failed" else "correct" if _ended(run) == "correct" else "wrong" for run in runs]
