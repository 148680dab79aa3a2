"""Judging a file of responses, without a model or a run: what `sharpen verify` does.

    {"id": "a", "verifier": "math", "answer": "1/2"}                                            a task, in TASKS.jsonl
    {"id": "b", "verifier": "code_io", "language": "c", "tests": [{"stdin": "2", "stdout": "4"}]}
    {"id": "a", "response": "So x is \\\\boxed{0.5}."}                                            a response, in RESPONSES.jsonl

1. A task line has `id` (else its number), `verifier` (else `exact`) and what that verifier needs: `answer`; `choices`;
   `schema`; `rubric`; `criteria`; `language`, `tests`, `time_limit_s`, `memory_mb` and the rest of code/problems.py; `family`
   and `metadata` of a reasoning-gym entry; `accept`, further right answers. `prompt`, where it is there, is shown to a judge.
   An answer that is no text is taken as `verify.answers_of` says: of several right answers any will do, a choice may be given
   by its place in the list.
2. A response line has `id` of its task, and `response`. Several responses to one task are usual.
3. Both files are read to their end before anything is judged, so that mistakes are told at once, the first ten of a file with
   their lines. Responses are then read again, a window at a time: memory does not grow with their number.
4. Each response is judged by `verify.verify`, the same function that rewards a run; the rule that found its final answer is the
   first part of `rule`. Verifiers run in processes that can be killed (judging.py).
"""

from __future__ import annotations

import contextlib
import difflib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sharpen import verify
from sharpen.audit.cache import Row, VerdictCache, key_of
from sharpen.core import Arm, Task, TaskSource, UserError, Verdict, suggest
from sharpen.tasks import clip, content, is_own, kind, lines_of, messages, parse
from sharpen.verify import Judges
from sharpen.verify.code import FIELDS

LONGEST_LINE = 64 * 2**20  # bytes
MISTAKES = 10  # of one file that are told at once
WINDOW = 2048, 64 * 2**20  # responses and characters that are in memory at once
OWN = ("id", "verifier", "prompt", "answer", "solution", "wrong", "family", "level", "split")  # the rest is the verifier's
OTHERS = ("choices", "schema", "rubric", "criteria", "metadata", "places", "accept", "spaces", "any_order")
NEEDS_ANSWER = ("exact", "choice", "number", "numbers", "math", "multiple_choice")
ACCEPTING = ("exact", "choice", "number", "numbers", "math", "gym", "reasoning_gym")


@dataclass(frozen=True)
class TaskLine:
    """A task, the verifier that its line names, and what only an audit reads: a right response, and known wrong ones."""

    task: Task
    line: int
    named: str
    content: str  # a hash of the line, whatever its id
    solution: str | None = None
    wrong: tuple[str, ...] = ()


def judge_file(
    tasks: Mapping[str, TaskLine], responses: Path, jobs: int | None, cache: VerdictCache, isolation: str = "full"
) -> Iterator[Row]:
    """One row for each response, in order: id, outcome, reward, parts, feedback, rule, isolation, seconds.

    Raises UserError as `require` does, and as a verifier does.
    """
    most, largest = WINDOW
    window: deque[tuple[str, str, Row | None, int]] = deque()  # (key, id of the task, row if known, length)
    size, ready = 0, False
    with Judges(verify.verify, workers=jobs) as judges:
        for number, (_, record) in enumerate(records(responses)):
            task, response = tasks[str(record["id"])].task, record["response"]
            key = key_of(task, response, isolation)
            known = cache.get(key)
            if known is None:
                ready = ready or require(tasks, isolation)
                judges.submit(f"{number} {key}", task, response)
            window.append((f"{number} {key}", record["id"], known, len(response)))
            size += len(response)
            while len(window) >= most or size > largest:
                size -= window[0][3]
                yield _row(judges, cache, *window.popleft()[:3])
        while window:
            yield _row(judges, cache, *window.popleft()[:3])


def _row(judges: Judges, cache: VerdictCache, key: str, id: Any, known: Row | None) -> Row:
    if known is None:
        verdict, seconds = judges.take(key)
        known = cache.put(key.partition(" ")[2], row_of(verdict, seconds))
    return {"id": id, **known}


def row_of(verdict: Verdict, seconds: float) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome,
        "reward": verdict.reward,
        "parts": dict(verdict.parts),
        "feedback": verdict.feedback,
        "rule": verdict.rule,
        "isolation": verdict.isolation,
        "seconds": round(seconds, 6),
    }


def require(tasks: Mapping[str, TaskLine], isolation: str) -> bool:
    """True. Raises UserError where code cannot be judged at this isolation, or a judge model is needed and none is named."""
    from sharpen.verify import code, judge_model

    listed = [line.task for line in tasks.values()]
    arm = Arm("file", 1)
    code.require(TaskSource("file", (arm,), lambda arm, split, i, seed: listed[i], lambda arm, split: len(listed)), isolation)
    asks = (item.get("kind") == "judge" for task in listed for item in task.data.get("rubric", ()))
    if any(task.verifier == "judge" for task in listed) or any(asks):
        judge_model.from_environment()
    return True


# Reading.


def read_tasks(path: Path, audited: bool = False, map: str = "") -> dict[str, TaskLine]:
    """Task lines by id. Raises UserError with the first mistakes of the file, each with its line.

    A line's id is its own, or else its number in the file; its verifier is "exact" where none is given, as in a file that is
    trained on. Of a file in another format or shape, rows that hold no task are left out.
    audited  the id of a line that has none is a hash of it, so that what was decided about it holds wherever it stands
    map      what a file's columns are: `tasks.parse_spec`
    """
    found: dict[str, TaskLine] = {}

    def add(line: int, record: Any, where: str) -> None:
        if isinstance(record, dict):
            record = {"id": content(record) if audited else line, "verifier": "exact"} | record
        made = task_of(line, record, where)
        id = str(record["id"])
        if id in found:
            raise UserError(f"{where}: the id {clip(id)} is that of line {found[id].line} too. Give each task its own.")
        found[id] = made

    if map or not is_own(path):
        for number, record in lines_of(path, map):
            if not isinstance(record, UserError) and record["id"] not in found:
                with contextlib.suppress(UserError):
                    add(number, record, f"{path}, row {number}")
    else:
        check(path, add)
    if not found:
        raise UserError(f'{path} holds no tasks. One line each: {{"id": "a", "verifier": "math", "answer": "1/2"}}.')
    return found


def check_responses(path: Path, tasks: Mapping[str, TaskLine]) -> int:
    """How many responses there are. Raises UserError with the first mistakes of the file, each with its line."""
    count = 0

    def look(line: int, record: Any, where: str) -> None:
        nonlocal count
        count += 1
        id = identity(record, where)
        if id not in tasks:
            raise UserError(
                f"{where}: there is no task with the id {clip(id)}.{suggest(id, tasks) if len(tasks) < 10_000 else ''}"
            )
        if not isinstance(record.get("response"), str):
            what = kind(record["response"]) if "response" in record else "missing"
            raise UserError(f"{where}: 'response' is {what}; it must be text.")

    check(path, look)
    if not count:
        raise UserError(f'{path} holds no responses. One line each: {{"id": "a", "response": "1/2"}}.')
    return count


def check(path: Path, look: Callable[[int, Any, str], None]) -> None:
    """Let `look` see every line. Raises UserError with what it raised for the first MISTAKES lines."""
    mistakes: list[str] = []
    for line, raw in raw_lines(path):
        where = f"{path}, line {line}"
        try:
            if len(raw) > LONGEST_LINE:
                raise UserError(f"{where}: longer than {LONGEST_LINE // 2**20} MiB. JSONL has one object on each line.")
            look(line, parse(raw, where), where)
        except UserError as e:
            mistakes.append(str(e))
            if len(mistakes) == MISTAKES:
                mistakes.append(f"and perhaps more: these are the first {MISTAKES}")
                break
    if mistakes:
        raise UserError("\n".join(mistakes))


def records(path: Path) -> Iterator[tuple[int, Any]]:
    for line, raw in raw_lines(path):
        yield line, parse(raw, f"{path}, line {line}")


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number, bytes) of each line that is not empty; of one beyond LONGEST_LINE, only so much that this can be told."""
    try:
        if not path.is_file():
            raise UserError(f"{path} is no file. Name a file of JSONL: it is read twice, so a pipe will not do.")
        with path.open("rb") as file:
            for line in range(1, 2**62):
                raw = file.readline(LONGEST_LINE + 1)
                if not raw:
                    return
                while len(raw) > LONGEST_LINE and (more := file.readline(2**20)) and not more.endswith(b"\n"):
                    pass
                if raw.strip():
                    yield line, raw
    except OSError as e:
        raise UserError(f"{path} cannot be read: {e.strerror or e}. Name a file of JSONL, one object on each line.") from e


def identity(record: Any, where: str) -> str:
    if not isinstance(record, dict):
        raise UserError(f"{where}: {kind(record)} where an object is wanted.")
    id = record.get("id")
    if isinstance(id, bool) or not isinstance(id, str | int) or id == "":
        raise UserError(f"{where}: 'id' is {kind(id) if 'id' in record else 'missing'}; it must be text, or a whole number.")
    return str(id)


def task_of(line: int, record: Any, where: str) -> TaskLine:
    """The task on one line. Raises UserError."""
    identity(record, where)
    name = record.get("verifier")
    if not isinstance(name, str) or name not in verify.VERIFIERS:
        close = suggest(name, verify.VERIFIERS) if isinstance(name, str) else ""
        said = f"there is no verifier {clip(name)}" if isinstance(name, str) else "'verifier' is missing"
        raise UserError(f"{where}: {said}.{close} There are: {', '.join(verify.VERIFIERS)}.")
    for field in record:
        known = (*OWN, *OTHERS, *FIELDS)
        if field not in known and (slip := difflib.get_close_matches(field, known, n=1, cutoff=0.8)):
            raise UserError(f"{where}: there is no field {field!r}. Did you mean {slip[0]!r}?")
    try:
        answer, others = verify.answers_of(name, record.get("answer"), record.get("choices"))
    except UserError as e:
        raise UserError(f"{where}: {e}") from e
    accept = record.get("accept", [])
    if "accept" in record and name not in ACCEPTING:
        raise UserError(f"{where}: 'accept' does nothing beside the verifier {name}. It is for {', '.join(ACCEPTING[:5])}.")
    if not isinstance(accept, list) or not all(
        isinstance(text, str | int | float) and not isinstance(text, bool) for text in accept
    ):
        raise UserError(f"{where}: 'accept' must be a list of further right answers, such as [\"LIM\"].")
    if name in NEEDS_ANSWER and not (answer or "").strip():
        raise UserError(f"{where}: the verifier {name} needs an 'answer'.")
    prompt = messages(record["prompt"], where) if "prompt" in record else ()
    data = {field: value for field, value in record.items() if field not in OWN}
    if accept or others:
        data["accept"] = [*others, *map(str, accept)]
    level = record.get("level", 1)
    family = record.get("family", "")
    if not isinstance(family, str) or isinstance(level, bool) or not isinstance(level, int):
        raise UserError(f"{where}: 'family' must be text, and 'level' a whole number.")
    task = Task(prompt, answer, family, level, "test", name, data)
    with contextlib.suppress(KeyError):
        task = fitted(task, where)
    wrong = record.get("wrong", [])
    if not isinstance(wrong, list) or not all(isinstance(text, str) for text in [*wrong, record.get("solution", "")]):
        raise UserError(f"{where}: 'solution' must be text, and 'wrong' a list of texts.")
    return TaskLine(task, line, name, content(record), record.get("solution"), tuple(wrong))


def fitted(task: Task, where: str) -> Task:
    """The task as its verifier wants it. Raises UserError where something is missing, KeyError where nothing is to be done."""
    return {"code_io": _code, "reasoning_gym": _gym, "gym": _gym, "rubric": _rubric, "json": _json}[task.verifier](task, where)


def _code(task: Task, where: str) -> Task:
    from sharpen.verify.code import problem_of

    task = replace(task, data={field: value for field, value in task.data.items() if field in FIELDS})
    try:
        problem_of(task.data)
    except UserError as e:
        raise UserError(f"{where}: {e}") from e
    return task


def _rubric(task: Task, where: str) -> Task:
    from sharpen.verify import rubric_problem

    if problem := rubric_problem(task.data.get("rubric") or ()):
        raise UserError(f"{where}: {problem}.")
    return task


def _json(task: Task, where: str) -> Task:
    if task.answer is None and "schema" not in task.data:
        raise UserError(f"{where}: the verifier json needs an 'answer', or a 'schema'.")
    return task


def _gym(task: Task, where: str) -> Task:
    """A reasoning-gym entry, judged as its family is here; one whose family is not told, as a number or the same text."""
    from sharpen.families import ACCEPTED, OPTIONS, SCORED, VERIFIER, level_count

    if not (task.answer or "").strip():
        raise UserError(f"{where}: the verifier {task.verifier} needs an 'answer'.")
    metadata = task.data.get("metadata") or {}
    family = task.family or (metadata.get("source_dataset", "") if isinstance(metadata, Mapping) else "")
    if not family:
        return replace(task, verifier="exact" if verify.read_number(task.answer or "") is None else "number", data={})
    try:
        level_count(family)
        missing = [key for key in (*SCORED.get(family, ()), *filter(None, [ACCEPTED.get(family)])) if key not in metadata]
    except UserError as e:
        raise UserError(f"{where}: {e}") from e
    if missing:
        raise UserError(f"{where}: 'metadata' lacks {', '.join(missing)}, which {family} is judged by.")
    data: dict[str, Any] = dict(OPTIONS.get(family, {}))
    if family in SCORED:
        data["metadata"] = {key: metadata[key] for key in SCORED[family]}
    if family in ACCEPTED:
        data["accept"] = [other for other in metadata[ACCEPTED[family]] if other != task.answer]
    return replace(task, family=family, level=1, verifier=VERIFIER[family], data=data)
