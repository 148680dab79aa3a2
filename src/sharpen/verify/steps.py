"""The steps of an answer, and which of them are right: where a working goes wrong first, exactly.

1. `split` cuts an answer into steps and its end: by words, by lines, by tags, or as a program, whose steps are its statements.
2. `checked` says of each step whether it is right. A chain is checked against itself, so that a step which is worked out
   rightly from a wrong number counts as right by itself (`own`); any other task with a worked solution against that one.
3. `first_error` is the number of the first step that is wrong; None where all are right, and where nothing is known.

Texts are data: a program is parsed, never run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sharpen.core import Task, UserError, suggest
from sharpen.verify.final import read_number

TAG = re.compile(r"<step>(.*?)</step>", re.DOTALL)
END = re.compile(r"<answer>|####|\\boxed|[Tt]he (?:final )?answer is")
WAYS = ("words", "lines", "tags", "program")
WORDS = "Step {number} is wrong: {step}"
LONGEST = 100_000  # characters of an answer that are looked at


@dataclass(frozen=True)
class Step:
    """text[start:stop] of an answer."""

    text: str
    start: int
    stop: int


def way(task: Task, response: str) -> str:
    """How this answer is cut unless told otherwise: programs as programs, tagged steps by their tags, lines where there are
    several, else words."""
    if task.verifier == "code_io":
        return "program"
    if TAG.search(response[:LONGEST]):
        return "tags"
    return "lines" if "\n" in working(response).strip() else "words"


def working(response: str) -> str:
    """What stands before the final answer."""
    found = END.search(response[:LONGEST])
    return response[: found.start()] if found else response[:LONGEST]


def split(response: str, by: str = "words") -> list[Step]:
    """The steps of the working, in order, without the final answer. An empty working has none.

    by  "words": between spaces; "lines"; "tags": in <step>…</step>; "program": the statements of the code, those inside of
        others too, as whole lines. A program that cannot be parsed has its lines. Raises UserError for another way.
    """
    if by not in WAYS:
        raise UserError(f"steps by {by!r}:{suggest(by, WAYS)} There are: {', '.join(WAYS)}.")
    if by == "program":
        return statements(response[:LONGEST])
    text = working(response)
    if by == "tags":
        return [Step(m.group(1), m.start(), m.end()) for m in TAG.finditer(text)]
    pattern = r"[^\n]*\S[^\n]*" if by == "lines" else r"\S+"
    return [Step(m.group(), m.start(), m.end()) for m in re.finditer(pattern, text)]


def statements(code: str) -> list[Step]:
    """The lines on which statements of a Python program begin, each up to where the next begins."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [Step(m.group(), m.start(), m.end()) for m in re.finditer(r"[^\n]*\S[^\n]*", code)]
    lines = code.splitlines(keepends=True)
    at = [sum(map(len, lines[:i])) for i in range(len(lines) + 1)]
    first = sorted({node.lineno - 1 for node in ast.walk(tree) if isinstance(node, ast.stmt)})
    ends = [*first[1:], len(lines)]
    return [Step(code[at[a] : at[b]].rstrip("\n"), at[a], at[b]) for a, b in zip(first, ends)]


def checked(task: Task, response: str, own: bool = False) -> list[bool] | None:
    """Of each step whether it is right; None where the task has neither a chain nor a worked solution to check it against.

    own  by itself: whether the step follows from the one before, as it was written, wrong as that may be. Only chains know
    """
    if "chain" in task.data:
        return chained(task, response, own)
    if task.solution is None or own:
        return None
    by = way(task, task.solution)
    wanted, said = split(task.solution, by), split(response, by)
    return [i < len(wanted) and step.text.split() == wanted[i].text.split() for i, step in enumerate(said)]


def chained(task: Task, response: str, own: bool) -> list[bool]:
    """The steps of a chain; one too many is wrong."""
    start, *changes = task.data["chain"]
    modulus, right, found = task.data["modulus"], start, []
    before = start
    for i, step in enumerate(split(response)):
        number = read_number(step.text)
        if i >= len(changes) or number is None or number.denominator != 1:
            found.append(False)
            before = right = right if i >= len(changes) else (right + changes[i]) % modulus
            continue
        right = (right + changes[i]) % modulus
        found.append(int(number) == ((before + changes[i]) % modulus if own else right))
        before = int(number)
    return found


def first_error(task: Task, response: str) -> int | None:
    """The number of the first wrong step, from 0; None where there is none, or nothing to check it against."""
    return next((i for i, right in enumerate(checked(task, response) or ()) if not right), None)


def error_end(task: Task, response: str) -> int | None:
    """Where the first wrong step ends, in characters: what comes before is what somebody has seen who finds the error."""
    wrong = first_error(task, response)
    if wrong is None:
        return None
    return steps_of(task, response)[wrong].stop


def steps_of(task: Task, response: str) -> list[Step]:
    """The steps as `checked` counts them."""
    by = "words" if "chain" in task.data or task.solution is None else way(task, task.solution)
    return split(response, by)


def shared(a: Sequence[Step], b: Sequence[Step]) -> int:
    """How many steps two workings have in common from the beginning."""
    same = 0
    for mine, other in zip(a, b):
        if mine.text.split() != other.text.split():
            break
        same += 1
    return same


def siblings(responses: Sequence[str], by: str = "words") -> dict[tuple[str, ...], list[str]]:
    """What each beginning of several workings went on with: {steps so far: the different next steps}, where there are
    several. So a right and a wrong next step after the same beginning are found without another model."""
    after: dict[tuple[str, ...], dict[str, None]] = {}
    for response in responses:
        said = [step.text for step in split(response, by)]
        for i, step in enumerate(said):
            after.setdefault(tuple(said[:i]), {})[step] = None
    return {before: list(steps) for before, steps in after.items() if len(steps) > 1}


def words_on(task: Task, response: str, words: str = WORDS) -> str:
    """What a checker says of the first wrong step, without what would be right there; "" where it finds none."""
    wrong = first_error(task, response)
    if wrong is None:
        return ""
    return words.format(number=wrong + 1, step=steps_of(task, response)[wrong].text.strip())
