"""A file of tasks as a source, whatever its format and shape.

1. formats.py gives its rows, shapes.py says what its columns mean, `--map` goes before that, files.py makes a task of a row.
2. A row without a split goes where the hash of its question says (`hashing.split_of`), so that adding rows moves no others;
   only where that leaves a split of a small arm empty, another split gives it one. Where a directory names splits, they hold;
   one that it lacks is taken out of its training rows, by hash.
3. JSON Lines in our own shape are written for this program: the first row that is no task, or that asks a question again, is an
   error. Of other people's files such rows are left out, counted by reason, and told (`TaskFile`, `TaskSource.notes`).
4. Rows are looked at once and kept small (keeping.py): of each there are its hash, arm and split. A draw makes the task.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import shlex
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from sharpen.core import SPLITS, Arm, Task, TaskSource, UserError, plural, suggest
from sharpen.hashing import derive, question_key, split_of_key
from sharpen.tasks import decisions, files, formats, shapes
from sharpen.tasks.files import FIELDS, MORE
from sharpen.tasks.keeping import OnDisk, Packed
from sharpen.tasks.reading import OWN_FIELDS, WORDS, Shape

SAMPLE = 100  # rows that tell the shape of a file
LARGE = 64 * 2**20  # bytes: lines of a larger file are left where they are
MOST_ARMS = 1000  # a curriculum chooses among few, and each is measured
MADE = 1024  # tasks that are kept as they were made
ALL_BITS = 2**64 - 1
AGAIN, OTHERWISE = "the same question again", "the same question again, with another answer"
TOO_FEW = "its family and level have fewer than three tasks"


@dataclass(frozen=True)
class TaskFile:
    """What was understood of a file.

    says       {field: what it is made of}; empty for our own shape
    rows       how many there are, those that were left out too
    left_out   {reason: (how many rows, the first of them)}
    verifiers  {name: tasks}
    unchecked  answers that nobody has held against their verifier, because there are too many
    texts      answers that are a text of many words, which `exact` hardly ever finds again
    """

    path: Path
    kind: str
    shape: str
    says: Mapping[str, str]
    source: TaskSource
    rows: int
    left_out: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    verifiers: Mapping[str, int] = field(default_factory=dict)
    unchecked: int = 0
    texts: int = 0

    @property
    def again(self) -> tuple[int, int]:
        """Rows that ask a question again: to the same answer, and to another one."""
        same, other = (self.left_out.get(reason, (0, ""))[0] for reason in (AGAIN, OTHERWISE))
        return same, other


def jsonl(path: str | Path) -> TaskSource:
    """The tasks of a file. Draws go through all tasks of an arm and split in an order set by the seed, then again in another.

    Raises UserError, with the file, the place and the cure, where the file cannot be read or holds no task; of JSON Lines in
    our own shape also where a question is asked twice, a line is no task, or its own verifier does not accept an answer.
    """
    return read_file(Path(path)).source


def read_file(path: Path, map: str = "", large: int = LARGE, lenient: bool = False, whole: bool = False) -> TaskFile:
    """A file or directory of tasks, of any format and shape; `map` as parse_map reads it. Raises UserError as `jsonl` does.

    Lines of a file of more than `large` bytes stay on disk. lenient: rows that are no task, or come again, are left out of our
    own shape too. whole: also an arm too small to have something of every split, which no run could use."""
    kind = formats.kind_of(path)
    shape, own = understood(path, kind, map)
    strict = own and kind == "jsonl" and not map and not lenient
    seen = Seen(path, kind, shape, strict, large, whole)
    for row in formats.rows(path, shape.reads or None):
        seen.add(row)
    return seen.finish()


def understood(path: Path, kind: str, map: str = "") -> tuple[Shape, bool]:
    """(the shape of a file, whether it is our own). UserError where it is unknown, and where `map` names what is not there."""
    try:
        with contextlib.closing(formats.rows(path)) as rows:
            sample = [row.value for row in itertools.islice(rows, SAMPLE)]
    except UserError:
        if kind != "jsonl" or map:
            raise
        sample = []  # the reader of lines says it better, at the line
    sample = [value for value in sample if isinstance(value, dict)]
    columns = list(dict.fromkeys(column for value in sample for column in value))
    own = ("prompt" in columns and "answer" in columns) or "verifier" in columns
    shape = OWN if own and kind == "jsonl" else shapes.own(columns, str(path)) if own else shapes.recognised(columns, sample)
    if shape and shape.name == "BFCL" and "ground_truth" not in columns:
        shape = shapes.with_truths(shape, beside(path))
    if map:
        return shapes.with_map(parse_map(map), columns, path, shape), False
    if shape is None and kind == "jsonl":
        return OWN, True
    if not columns:
        raise UserError(f"{path} holds no tasks: there is no row in it, or no column is named.")
    if shape is None:
        listed = ", ".join(columns[:30]) + (", …" if len(columns) > 30 else "")
        example = next((column for column in columns if len(column) < 30), "question")
        raise UserError(
            f"{path}: nothing says which column is the prompt and which the answer. Name them, such as "
            f"--map prompt={shlex.quote(example)},answer=…. Its columns: {listed or 'none'}."
        )
    return shape, own


def beside(path: Path) -> dict[str, Any]:
    """BFCL keeps what is right in another file of the same name: {id: ground truth}; empty where there is none.

    Of a folder of its files it is all that the files below it say.
    """
    other = (path if path.is_dir() else path.parent) / "possible_answer"
    files = sorted(f for f in other.glob("*") if f.is_file()) if path.is_dir() else [other / path.name]
    found = (row.value for file in files if file.is_file() for row in formats.rows(file))
    return {str(value.get("id")): value.get("ground_truth") for value in found if isinstance(value, dict)}


def parse_map(text: str) -> dict[str, str]:
    """{"prompt": "question", "answer": "solution"} of "prompt=question,answer=solution". Raises UserError."""
    found: dict[str, str] = {}
    known = (*FIELDS, *MORE)
    for part in filter(None, map_parts(text)):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise UserError(f"--map {part}: written FIELD=COLUMN, such as --map prompt=question,answer=solution.")
        if name not in known:
            raise UserError(f"--map {part}: there is no field {name!r}.{suggest(name, known)} There are: {', '.join(known)}.")
        if name in found:
            raise UserError(f"--map names {name} twice.")
        found[name] = column
    if not found:
        raise UserError("--map names no field. Written: --map prompt=question,answer=solution.")
    return found


def map_parts(text: str) -> list[str]:
    """A comma within the name of a column stays: only one that FIELD= follows parts."""
    return re.split(r",(?=\s*\w+\s*=)", text.strip())


def own_line(record: Any) -> Any:
    return record


OWN = Shape(OWN_FIELDS, own_line)
"""JSON Lines as files.py describes them."""


class Seen:
    """The rows of one file, as they are looked at, one after the other."""

    def __init__(self, path: Path, kind: str, shape: Shape, strict: bool, large: int, whole: bool = False):
        self.path, self.kind, self.shape, self.strict, self.whole = path, kind, shape, strict, whole
        self.family = family_of(path)
        self.label = f"{path}, {formats.label(kind)} "
        self.unused = decisions.unused(path)
        self.numbers, self.keys, self.others = array("Q"), array("Q"), array("Q")  # line or row, hash of question, of the rest
        self.arms, self.splits, self.placed = array("I"), array("b"), array("b")
        self.names: dict[tuple[str, int], int] = {}
        self.left: dict[str, tuple[int, str]] = {}
        self.verifiers: Counter[str] = Counter()
        self.languages: set[str] = set()
        self.texts = self.rows = 0
        named = {split for _, split in formats.files_in(path)} if kind == "directory" else set()
        self.named = named if "train" in named else {""}
        plain = kind == "jsonl" and path.suffix.lower() != ".gz" and shape is OWN
        stays = plain and path.is_file() and path.stat().st_size > large
        self.kept: OnDisk | Packed = OnDisk(path) if stays else Packed()
        self.checked = files.Checked()

    def add(self, row: formats.Row) -> None:
        where = f"{self.label}{row.number}"
        self.rows += 1
        try:
            self._add(row, where)
        except UserError as e:
            if self.strict:
                raise
            said = str(e).removeprefix(f"{where}: ")
            self.leave_out(said, f"{formats.label(self.kind)} {row.number}: {said}")
        if len(self.names) > MOST_ARMS:
            raise UserError(
                f"{self.path}: more than {MOST_ARMS} families and levels, and each of them is measured. "
                "Map `family` to a column with fewer values, or leave it out."
            )

    def _add(self, row: formats.Row, where: str) -> None:
        record = self.shape.convert(row.value) if self.strict or isinstance(row.value, dict) else row.value
        if self.unused and isinstance(record, dict) and decisions.content({"verifier": "exact"} | record) in self.unused:
            return
        sight = files.at_sight(record, self.family, where)
        answer: str | None
        said: str | None
        if sight and self.checked.knows(sight[-1], sight[1]):
            prompt, answer, family, level, said, verifier = sight
            raw = self.line(row, record, where)
        else:
            task, has_split = files.made(record, self.family, where, lambda prompt: "train")
            raw = self.line(row, record, where)
            files.right(task, where, self.checked.accepts)
            prompt, answer, family, level, verifier = task.prompt, task.answer, task.family, task.level, task.verifier
            said = task.split if has_split else None
            if verifier == "code_io":
                self.languages |= files.languages_of(task)
        key = question_key(prompt)
        split = said or split_of_key(key)
        if row.split and not said and row.split in self.named and (row.split != "train" or split in self.named):
            split = row.split  # but what the data set lacks is taken out of its training rows
        self.numbers.append(row.number)
        self.keys.append(int(key, 16))
        self.others.append(hash((answer, verifier)) & ALL_BITS)
        self.arms.append(self.names.setdefault((family, level), len(self.names)))
        self.splits.append(SPLITS.index(split))
        self.placed.append(said is not None)
        self.verifiers[verifier] += 1
        self.texts += verifier == "exact" and len(str(answer).split()) > 2 * WORDS
        if isinstance(self.kept, OnDisk):
            self.kept.offsets.append(row.offset)
        else:
            self.kept.add(raw)

    def line(self, row: formats.Row, record: Any, where: str) -> bytes:
        """The row as it is kept. Raises UserError where it has half of a character."""
        return row.raw.strip() if self.shape is OWN and b"\\u" not in row.raw else files.whole(record, where)

    def leave_out(self, reason: str, example: str, n: int = 1) -> None:
        general = re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "…", reason)
        before, first = self.left.get(general, (0, example))
        self.left[general] = before + n, first

    def finish(self) -> TaskFile:
        if isinstance(self.kept, Packed):
            self.kept.close()
        splits = self.divided(self.once())
        if not splits:
            if not self.left:
                raise UserError(
                    f'{self.path} holds no tasks. Write one on each line, such as {{"prompt": "2 + 3 =", "answer": "5"}}.'
                )
            why = "; ".join(f"{n} × {first}" for n, first in self.left.values()) + ". Name columns that can with --map."
            rows = plural(self.rows, "row")
            raise UserError(f"{self.path}, read as {self.shape.name}: none of its {rows} can be used: {why}")
        source = drawn(str(self.path), splits, self.made, tuple(self.notes()), frozenset(self.languages))
        found = (self.path, self.kind, self.shape.name, self.shape.says, source, self.rows)
        return TaskFile(*found, dict(self.left), dict(self.verifiers), self.checked.left, self.texts)

    def once(self) -> np.ndarray:
        """Numbers of the rows whose question no other row asks, or that come first: before all others those of a test split."""
        keys, others, splits = np.array(self.keys), np.array(self.others), np.array(self.splits)
        order = np.lexsort((np.arange(len(keys)), len(SPLITS) - splits, keys))
        again = np.concatenate([[False], keys[order][1:] == keys[order][:-1]]) if len(order) else np.zeros(0, bool)
        if self.strict and again.any():
            later = order[again].min()
            first = np.flatnonzero(keys == keys[later])[0]
            raise UserError(
                f"{self.path}, line {self.numbers[later]}: the same question as in line {self.numbers[first]}. "
                "Delete one: it could not be held out."
            )
        other = np.concatenate([[False], others[order][1:] != others[order][:-1]])[: len(order)] & again
        for reason, rows in ((AGAIN, order[again & ~other]), (OTHERWISE, order[other])):
            if len(rows):
                self.leave_out(reason, f"{formats.label(self.kind)} {self.numbers[rows.min()]}: {reason}", len(rows))
        return np.sort(order[~again])

    def divided(self, rows: np.ndarray) -> dict[tuple[Arm, str], np.ndarray]:
        """Numbers of rows by arm and split, in the order of their questions' hashes. An arm none of whose rows names a split
        gets no empty one: it takes, from the split that has most, the question with the smallest hash.

        Raises UserError where such an arm has fewer rows than there are splits; where rows may be left out, they are.
        """
        keys, arms, splits, placed = (np.array(a) for a in (self.keys, self.arms, self.splits, self.placed))
        rows = rows[np.lexsort((keys[rows], arms[rows]))]
        found: dict[tuple[Arm, str], np.ndarray] = {}
        for members in np.split(rows, np.flatnonzero(np.diff(arms[rows])) + 1) if len(rows) else ():
            arm = Arm(*list(self.names)[arms[members[0]]])
            parts = [members[splits[members] == at] for at in range(len(SPLITS))]
            if not placed[members].any() and not (self.whole and len(members) < len(SPLITS)):
                if len(members) < len(SPLITS) and not self.strict:
                    where = f"{formats.label(self.kind)} {self.numbers[members[0]]}: {arm}"
                    self.leave_out(TOO_FEW, f"{where}: {TOO_FEW}", len(members))
                    continue
                if len(members) < len(SPLITS):
                    raise UserError(
                        f"{self.path}: {arm} has {len(members)} task{'s' * (len(members) > 1)}, and each of "
                        f'{", ".join(SPLITS)} needs one. Add lines, or give each a "split".'
                    )
                for at, part in enumerate(parts):
                    if not len(part):
                        most = max(range(len(SPLITS)), key=lambda other: len(parts[other]))
                        parts[at], parts[most] = parts[most][:1], parts[most][1:]
            found |= {(arm, split): part for split, part in zip(SPLITS, parts)}
        return found

    def made(self, row: int) -> Task:
        """The task of one row, made again. Raises UserError where the file has changed."""
        where = f"{self.path}, {formats.label(self.kind)} {self.numbers[row]}"
        return files.made(formats.parse(self.kept[row], where), self.family, where, lambda prompt: "train")[0]

    def notes(self) -> Iterator[str]:
        """What a person should know before a run starts, a sentence each."""
        if not self.strict:
            yield f"{self.path}: read as {self.shape.name}, {plural(len(self.numbers), 'task')} of {plural(self.rows, 'row')}."
        lost = sum(n for n, _ in self.left.values())
        if lost:
            yield f"{self.path}: {lost:,} of {plural(self.rows, 'row')} left out. `sharpen tasks` says why."
        if self.texts * 2 > len(self.numbers):
            yield (
                f"{self.path}: most answers are long texts, which only the same text would equal. They serve to imitate "
                "(`sharpen run sft`); to practise on them, name a judge: --map verifier=judge."
            )
        if self.checked.left:
            said = f"beyond the first {files.MOST_CHECKED:,}, were not tried on their verifier"
            yield f"{self.path}: {plural(self.checked.left, 'answer')}, {said}."


def family_of(path: Path) -> str:
    """The family of tasks that name none: the file's name without its ending."""
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).stem if not path.is_dir() else path.resolve().name


def drawn(
    name: str,
    splits: Mapping[tuple[Arm, str], np.ndarray],
    made: Callable[[int], Task],
    notes: tuple[str, ...],
    languages: frozenset[str],
) -> TaskSource:
    """A finite source over numbered rows: every arm and split in an order that the seed sets, then again in another."""

    @functools.lru_cache(maxsize=64)
    def order(arm: Arm, split: str, seed: int, turn: int) -> np.ndarray:
        numbers = list(range(size(arm, split)))
        Random(derive(seed, split, arm.family, arm.level, turn)).shuffle(numbers)
        return splits[arm, split][np.array(numbers, np.int64)].astype(np.uint32)

    @functools.lru_cache(maxsize=MADE)
    def task(row: int, split: str) -> Task:
        return replace(made(row), split=split)

    def size(arm: Arm, split: str) -> int:
        return len(splits.get((arm, split), ()))

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        count = size(arm, split)
        if not count:
            raise UserError(
                f'{name}: {arm} has no task in the {split} split. Give a line of it "split": "{split}", or add lines.'
            )
        return task(int(order(arm, split, seed, index // count)[index % count]), split)

    return TaskSource(name, tuple(sorted({arm for arm, _ in splits})), draw, size, notes, languages)


def is_own(path: Path) -> bool:
    """Whether a file is JSON Lines in our own shape, or looks like nothing else."""
    try:
        kind = formats.kind_of(path)
    except UserError:
        return True  # JSON Lines may have any name
    return kind == "jsonl" and path.suffix.lower() != ".gz" and understood(path, kind)[1]


def lines_of(path: Path, map: str = "") -> Iterator[tuple[int, dict[str, Any] | UserError]]:
    """(number, line) of each row of a file of other people's shape, as files.py describes lines, with an `id`: the row's own,
    or its number. In the place of a row that holds no task stands why. Raises UserError as `understood` does."""
    kind = formats.kind_of(path)
    shape, _ = understood(path, kind, map)
    for row in formats.rows(path):
        try:
            line = shape.convert(row.value)
            known = (line.get("id"), *(row.value.get(name) for name in IDS))
            yield row.number, line | {"id": next((str(id) for id in known if id not in (None, "")), str(row.number))}
        except UserError as e:
            yield row.number, e


IDS = ("id", "task_id", "question_id", "problem_id", "unique_id", "uuid")
