"""The task on one line of a file of tasks: one JSON object.

    {"prompt": "What is 2 + 3?", "answer": "5", "verifier": "number"}

Needed: `prompt` (text, or a list of chat messages) and `answer` (text, a number, or a list of answers that are right; letters
for `multiple_choice`). Also read: `family` (else the file's name), `level` (else 1), `verifier` (else "exact"; any of
FOR_FILES), `split` and `solution` (text), and what a verifier needs beside: `accept`, `choices`, `schema`, `tools`, `rubric`,
`criteria` (verify/fields.py). Other fields are left alone, unless their name looks like a slip of one of these. Empty lines are
skipped. With "verifier": "code_io" a line has no answer but `language`, `tests` and whatever else `sharpen.verify.code`
(problems.py) explains.

Files of other shapes are made into such lines first (shapes.py), and loading.py makes a source of them.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sharpen.core import SPLITS, Message, Task, UserError, flat, suggest
from sharpen.hashing import split_of
from sharpen.verify import NO_ANSWER, VERIFIERS, accepts_its_own, task_fields, with_choices

FIELDS = ("prompt", "answer", "family", "level", "verifier", "split", "solution")
# Fields that some verifiers need.
MORE = ("choices", "schema", "tools", "rubric", "criteria", "accept", "spaces", "any_order", "tests", "language")
FOR_FILES = tuple(
    n for n in VERIFIERS if n not in ("gym", "reasoning_gym", "environment")
)  # not those of reasoning-gym's own entries
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Checked:
    """Whether verifiers accept tasks' own answers. Plain numbers and words are known to be accepted; of all others MOST_CHECKED
    are tried, so that a file of a million does not take an hour, and `left` counts the rest."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str | None], bool] = {}
        self.left = 0

    def accepts(self, task: Task) -> bool:
        answer = task.answer or ""
        if not task.data and PLAIN.get(task.verifier, NEVER).fullmatch(answer):
            return True
        key = (task.verifier, answer)
        if task.data or key not in self.known:
            if len(self.known) >= MOST_CHECKED:
                self.left += 1
                return True
            self.known[key] = accepts_its_own(task)
        return self.known[key]

    def knows(self, verifier: str, answer: str) -> bool:
        """Whether an answer without data is accepted for certain, or as one of them was already."""
        plain = PLAIN.get(verifier, NEVER).fullmatch(answer)
        return plain is not None or self.known.get((verifier, answer), False)


MOST_CHECKED = 20_000
NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
WORDS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ,.'()+*=:;/-]{0,500}[A-Za-z0-9])?")
NEVER = re.compile(r"(?!)")
PLAIN = {"exact": WORDS, "choice": WORDS, "number": NUMBER, "math": NUMBER}


def task_of(record: Any, family: str, where: str) -> tuple[Task, bool]:
    """The task on one line, and whether the line says its split. Raises UserError."""
    task, has_split = made(record, family, where)
    whole(record, where)
    right(task, where)
    return task, has_split


def whole(record: Any, where: str) -> bytes:
    """The line, in JSON. Raises UserError where it has half of a character."""
    try:
        return ENCODER.encode(record).encode("utf-8")
    except UnicodeEncodeError as e:
        raise UserError(f"{where}: half of a surrogate pair, which is no character. Write the whole character.") from e


def right(task: Task, where: str, accepted: Callable[[Task], bool] = accepts_its_own) -> None:
    """Raises UserError where its own verifier does not accept a task's answer."""
    if task.answer is not None and not accepted(task):
        raise UserError(
            f"{where}: the answer {clip(task.answer)} is not accepted by its own verifier, {task.verifier}. Mend either."
        )


def made(record: Any, family: str, where: str, split_by: Callable[[tuple[Message, ...]], str] = split_of) -> tuple[Task, bool]:
    """As `task_of`, of a line whose characters and answer were looked at. `split_by` finds the split where it says none."""
    if not isinstance(record, dict):
        raise UserError(f'{where}: {kind(record)} where an object is wanted, such as {{"prompt": "2 + 3 =", "answer": "5"}}.')
    others, slip = slips(tuple(record))
    if slip:
        raise UserError(f"{where}: {slip}")
    in_code = record.get("verifier") == "code_io"
    for name in ("prompt",) if in_code or record.get("verifier") in NO_ANSWER else ("prompt", "answer"):
        if name not in record:
            instead = f" Rename one of: {', '.join(others[:10])}. Or leave them, and say --map {name}=COLUMN." if others else ""
            raise UserError(f"{where}: the field {name!r} is missing.{instead}")
    if "answer" in record and not in_code:
        readable(record, where)
    for name in ("family", "verifier", "split", "solution"):
        if name in record and not (isinstance(record[name], str) and record[name].strip()):
            raise UserError(f'{where}: {name!r} is {kind(record[name])}; it must be text, such as "{EXAMPLES[name]}".')
    level = record.get("level", 1)
    if not isinstance(level, int) or isinstance(level, bool) or level < 0:
        raise UserError(f"{where}: 'level' is {kind(level)}; it must be a whole number from 0, such as 2.")
    split = record.get("split")
    if split not in (None, *SPLITS):
        raise UserError(f"{where}: 'split' is {split!r}.{suggest(split, SPLITS)} There are: {', '.join(SPLITS)}.")
    verifier = record.get("verifier", "exact")
    if verifier not in FOR_FILES:
        raise UserError(f"{where}: no verifier {verifier!r}.{suggest(verifier, FOR_FILES)} There are: {', '.join(FOR_FILES)}.")
    prompt = messages(record["prompt"], where)
    if verifier == "multiple_choice":
        prompt = (*prompt[:-1], {**prompt[-1], "content": with_choices(prompt[-1]["content"], record.get("choices"))})
    answer, data = (None, code_data(record, where)) if in_code else fields_of(verifier, record, where)
    task = Task(
        prompt=prompt,
        answer=answer,
        family=record.get("family", family),
        level=level,
        split=split or split_by(prompt),
        verifier=verifier,
        data=data,
        solution=record.get("solution"),
    )
    return task, split is not None


Sight = tuple[tuple[Message, ...], str, str, int, str | None, str]


def at_sight(record: Any, family: str, where: str) -> Sight | None:
    """(prompt, answer, family, level, split or None, verifier) of a line in which `made` would find no more than these; None
    of any other. Most lines are such, and this takes an eighth of the time. Raises UserError for the prompt, as `made` does."""
    if type(record) is not dict or not usual(tuple(record)):
        return None
    answer, verifier, family = record["answer"], record.get("verifier", "exact"), record.get("family", family)
    split, level = record.get("split"), record.get("level", 1)
    texts = type(answer) is str and type(verifier) is str and type(family) is str and answer and family
    if not texts or verifier not in WITHOUT_MORE or answer.isspace() or family.isspace():
        return None
    if type(level) is not int or level < 0 or (split not in SPLITS and "split" in record):
        return None
    solution = record.get("solution", ".")
    if type(solution) is not str or not solution or solution.isspace():
        return None
    return messages(record["prompt"], where), answer, family, level, split, verifier


WITHOUT_MORE = ("exact", "choice", "number", "numbers", "math")


@functools.lru_cache(maxsize=256)
def usual(names: tuple[str, ...]) -> bool:
    """Whether a line with these names has a prompt, an answer, and nothing that only some verifiers read."""
    return "prompt" in names and "answer" in names and not set(MORE) & set(names) and not slips(names)[1]


@functools.lru_cache(maxsize=256)
def slips(names: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """(names that are no field, what to say of one that looks like a slip of a field) of the names on a line."""
    others = tuple(name for name in names if name not in FIELDS and len(name) < 40)
    for name in others:
        if slip := difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.8):
            return others, f"there is no field {name!r}. Did you mean {slip[0]!r}?"
    return others, ""


def readable(record: Mapping[str, Any], where: str) -> None:
    """Raises UserError where an answer is neither text, nor a number, nor a list of right ones, nor the JSON that is wanted."""
    given, verifier = record["answer"], record.get("verifier", "exact")
    if isinstance(given, str) and given.strip():
        return
    listed = isinstance(given, list) and given and all(isinstance(g, str | int | float) and str(g).strip() for g in given)
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not (number or listed or (verifier in ("json", "tool_call") and isinstance(given, list | dict))):
        raise UserError(f"{where}: 'answer' is {kind(given)}; it must be text, a number, or a list of those that are right.")


def fields_of(verifier: str, record: Mapping[str, Any], where: str) -> tuple[str | None, dict[str, Any]]:
    """(the answer as text, what the verifier reads beside it). Raises UserError."""
    try:
        return task_fields(verifier, record)
    except UserError as e:
        raise UserError(f"{where}: {e}") from e


def languages_of(task: Task) -> set[str]:
    """The languages of the programs that are run to judge a task in code."""
    from sharpen.verify.code import problem_of

    problem = problem_of(task.data)
    return {problem.language.name} | ({problem.checker.language.name} if problem.checker else set())


def code_data(record: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of a line that its problem in code consists of. Raises UserError where they make none."""
    from sharpen.verify.code import FIELDS as IN_CODE
    from sharpen.verify.code import problem_of

    data = {name: record[name] for name in IN_CODE if name in record}
    for name in record:
        if name not in (*FIELDS, *IN_CODE) and (slip := difflib.get_close_matches(name, IN_CODE, n=1, cutoff=0.8)):
            raise UserError(f"{where}: there is no field {name!r}. Did you mean {slip[0]!r}?")
    try:
        problem_of(data)
    except UserError as e:
        raise UserError(f"{where}: {e}") from e
    return data


EXAMPLES = {"answer": "5", "family": "sums", "verifier": "number", "split": "test", "solution": "2 + 3 = 5<answer>5</answer>"}


def messages(prompt: Any, where: str) -> tuple[dict[str, Any], ...]:
    """A prompt, which is text or a list of {"role", "content"}, as chat messages. Raises UserError."""
    if isinstance(prompt, str) and prompt.strip():
        return ({"role": "user", "content": prompt},)
    if not isinstance(prompt, list) or not prompt:
        raise UserError(f"{where}: 'prompt' is {kind(prompt)}; it must be text or a list of chat messages.")
    for number, message in enumerate(prompt, 1):
        role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
        if not isinstance(role, str) or not isinstance(content, str | list) or not content:
            raise UserError(f'{where}: message {number} of the prompt must be {{"role": "user", "content": "…"}}.')
    if prompt[-1]["role"] == "assistant":
        raise UserError(f"{where}: the prompt ends with the assistant. Its last message is what the model answers.")
    if all(type(message["content"]) is str for message in prompt):
        return tuple(prompt)
    try:
        return tuple(map(flat, prompt))
    except UserError as e:
        raise UserError(f"{where}: {e}") from e


def kind(value: Any) -> str:
    """How an error names a JSON value."""
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, str):
        return clip(value) if value.strip() else "empty"
    return "a list" if isinstance(value, list) else "an object"


def clip(text: str | None) -> str:
    return repr(text if text is None or len(text) <= 60 else text[:60] + "…")
