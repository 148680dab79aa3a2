"""Tasks from a JSONL file: one JSON object a line.

    {"prompt": "What is 2 + 3?", "answer": "5", "verifier": "number"}

Needed: `prompt` (text, or a list of chat messages) and `answer` (text, a number, or a list). Also read: `family` (else the
file's name), `level` (else 1), `verifier` (else "exact"; any of FOR_FILES), `split` and `solution` (text), and what the
verifier needs: `accept`, `choices`, `schema`, `tools`, `rubric`, `criteria` (verify/fields.py). Other fields are left alone,
unless their name looks like a slip of one of these. Empty lines are skipped. With "verifier": "code_io" a line has no answer
but `language`, `tests` and whatever else `sharpen.verify.code` (problems.py) explains.

A line that `sharpen audit` found in dispute, and a person decided against, is left out (decisions.py).

A line without a `split` goes where the hash of its question says (`hashing.split_of`), so that adding lines moves no others;
only where that leaves a split of a small arm empty, another split gives it one.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError, flat, suggest
from sharpen.hashing import derive, question_key, split_of
from sharpen.tasks import decisions
from sharpen.verify import NO_ANSWER, VERIFIERS, accepts_its_own, task_fields, with_choices

LONGEST_LINE = 4 * 2**20  # bytes; read no further than this to find the end of a line
FIELDS = ("prompt", "answer", "family", "level", "verifier", "split", "solution")
FOR_FILES = tuple(n for n in VERIFIERS if n not in ("gym", "reasoning_gym"))  # not those of reasoning-gym's own entries

Splits = Mapping[tuple[Arm, str], Sequence[Task]]


def jsonl(path: str | Path) -> TaskSource:
    """The tasks of a file. Draws go through all tasks of an arm and split in an order set by the seed, then again in another.

    Raises UserError, with the file, the line and the cure, where the file cannot be read, holds no task, asks a question twice,
    has a line that is no task, or an answer that its own verifier does not accept.
    """
    path = Path(path)
    tasks: dict[str, Task] = {}
    lines: dict[str, int] = {}
    placed = set()
    unused = decisions.unused(path)
    for line, record in records(path):
        if unused and isinstance(record, dict) and decisions.content({"verifier": "exact"} | record) in unused:
            continue
        where = f"{path}, line {line}"
        task, has_split = task_of(record, path.stem, where)
        key = question_key(task.prompt)
        if key in tasks:
            raise UserError(f"{where}: the same question as in line {lines[key]}. Delete one: it could not be held out.")
        tasks[key], lines[key] = task, line
        if has_split:
            placed.add(key)
    if not tasks:
        raise UserError(f'{path} holds no tasks. Write one on each line, such as {{"prompt": "2 + 3 =", "answer": "5"}}.')
    splits = divide(tasks, placed, str(path))
    arms = tuple(sorted({arm for arm, _ in splits}))

    @functools.lru_cache(maxsize=64)
    def order(arm: Arm, split: str, seed: int, turn: int) -> list[Task]:
        shuffled = list(splits.get((arm, split), ()))
        Random(derive(seed, split, arm.family, arm.level, turn)).shuffle(shuffled)
        return shuffled

    def size(arm: Arm, split: str) -> int:
        return len(splits.get((arm, split), ()))

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        count = size(arm, split)
        if not count:
            raise UserError(
                f'{path}: {arm} has no task in the {split} split. Give a line of it "split": "{split}", or add lines.'
            )
        return order(arm, split, seed, index // count)[index % count]

    return TaskSource(str(path), arms, draw, size)


def records(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number, JSON value) of each line that is not empty; no line is read beyond LONGEST_LINE."""
    try:
        with path.open("rb") as file:
            for line in range(1, 2**62):
                raw = file.readline(LONGEST_LINE + 1)
                if not raw:
                    return
                if len(raw) > LONGEST_LINE:
                    raise UserError(
                        f"{path}, line {line}: longer than {LONGEST_LINE // 2**20} MiB. JSONL has one task on each line."
                    )
                if raw.strip():
                    yield line, parse(raw, f"{path}, line {line}")
    except OSError as e:
        raise UserError(f"{path} cannot be read: {e.strerror or e}. Name a file of tasks, one JSON object on each line.") from e


def parse(raw: bytes, where: str) -> Any:
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError as e:
        raise UserError(f"{where}: not UTF-8 (byte {e.start + 1} of the line). Save the file as UTF-8.") from e
    except RecursionError as e:
        raise UserError(f"{where}: not a task: nested too deeply.") from e
    except ValueError as e:
        raise UserError(f"{where}: broken JSON: {e}. Every line is one whole JSON object.") from e


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON; write it as text, in quotes")


def task_of(record: Any, family: str, where: str) -> tuple[Task, bool]:
    """The task on one line, and whether the line says its split. Raises UserError."""
    if not isinstance(record, dict):
        raise UserError(f'{where}: {kind(record)} where an object is wanted, such as {{"prompt": "2 + 3 =", "answer": "5"}}.')
    others = [name for name in record if name not in FIELDS and len(name) < 40]
    for name in others:
        if slip := difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.8):
            raise UserError(f"{where}: there is no field {name!r}. Did you mean {slip[0]!r}?")
    in_code = record.get("verifier") == "code_io"
    for name in ("prompt",) if record.get("verifier") in ("code_io", *NO_ANSWER) else ("prompt", "answer"):
        if name not in record:
            instead = f" Rename one of: {', '.join(others[:10])}." if others else ""
            raise UserError(f"{where}: the field {name!r} is missing.{instead}")
    if "answer" in record and (record["answer"] is None or record["answer"] == "" or record["answer"] == {}):
        raise UserError(f"{where}: 'answer' is {kind(record['answer'])}; it must be text, such as \"5\", a number or a list.")
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
    try:
        answer, data = (None, code_data(record, where)) if in_code else task_fields(verifier, record)
    except UserError as e:
        raise (e if in_code else UserError(f"{where}: {e}")) from e
    task = Task(
        prompt=prompt,
        answer=answer,
        family=record.get("family", family),
        level=level,
        split=split or split_of(prompt),
        verifier=verifier,
        data=data,
        solution=record.get("solution"),
    )
    try:
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as e:
        raise UserError(f"{where}: half of a surrogate pair, which is no character. Write the whole character.") from e
    if not in_code and not accepts_its_own(task):
        raise UserError(
            f"{where}: the answer {clip(task.answer)} is not accepted by its own verifier, {verifier}. Mend either."
        )
    return task, split is not None


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
    try:
        return tuple(map(flat, prompt))
    except UserError as e:
        raise UserError(f"{where}: {e}") from e


def divide(tasks: Mapping[str, Task], placed: set[str], name: str) -> Splits:
    """Tasks by arm and split: where a line or its hash says. An arm none of whose lines names a split gets no empty one.

    Such a split takes, from the split that has most tasks, the question with the smallest hash.
    Raises UserError where such an arm has fewer tasks than there are splits.
    """
    arms: dict[Arm, dict[str, list[str]]] = {}
    for key in sorted(tasks):
        arms.setdefault(tasks[key].arm, {split: [] for split in SPLITS})[tasks[key].split].append(key)
    for arm, keys in arms.items():
        count = sum(map(len, keys.values()))
        if any(key in placed for found in keys.values() for key in found):
            continue
        if count < len(SPLITS):
            raise UserError(
                f"{name}: {arm} has {count} task{'s' * (count > 1)}, and each of {', '.join(SPLITS)} needs one. "
                'Add lines, or give each a "split".'
            )
        for split in SPLITS:
            if not keys[split]:
                keys[split].append(max(keys.values(), key=len).pop(0))
    return {
        (arm, split): [dataclasses.replace(tasks[key], split=split) for key in found]
        for arm, keys in arms.items()
        for split, found in keys.items()
    }


def kind(value: Any) -> str:
    """How an error names a JSON value."""
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, str):
        return clip(value) if value.strip() else "empty"
    return "a list" if isinstance(value, list) else "an object"


def clip(text: str | None) -> str:
    return repr(text if text is None or len(text) <= 60 else text[:60] + "…")
