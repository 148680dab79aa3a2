"""What people ask of a run: files in RUN/asked, which the run takes in at its next commit. So the store keeps its one writer.

    asked/dispute-ID.json   accept, reject or edit a label that is in dispute (table `disputes`); ID is the task's
    asked/repair-ID.json    accept, reject or edit a revision of a training task's label (table `repairs`)
    asked/extend-0001.json  more budget, once the run is finished
    asked/pause-0001.json   stop after the round in hand

1. A file is whole or not there, and never changed: of two people who decide the same, the second is told what the first said.
2. What was taken in is a row of `asked`, of the commit that it is part of. A file that has a row is never taken in again, so a
   run that is killed anywhere takes each in once.
3. A pause is about the process and no part of the record: it is removed once it is obeyed, or when the run is taken up again.
4. The files are data from people: what is no file of this kind, or says something else, is passed over.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.guard import parse_budget
from sharpen.store import checkpoints, database
from sharpen.store.store import Store

FOLDER = "asked"
LABELS = ("dispute", "repair")
ANSWERS = ("accept", "reject", "edit")
LONGEST = 20_000  # characters of a label
LARGEST = 1 << 18  # bytes of a file
NAME = re.compile(r"(dispute|repair|extend|pause)-([0-9a-f]{4,64})\.json")


@dataclass(frozen=True)
class Asked:
    """One thing that somebody asked.

    kind     dispute, repair, extend or pause
    subject  of a label the id of the task, else a number
    answer   of a label accept, reject or edit; of an extension the budget; of a pause nothing
    label    what an edited label now is
    who, at  who asked, and when, in seconds since 1970
    """

    kind: str
    subject: str
    answer: str = ""
    label: str | None = None
    who: str = ""
    at: float = 0.0

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.subject}"


class Taken(UserError):
    """Somebody was first; `first` is what they asked."""

    def __init__(self, first: Asked) -> None:
        self.first = first
        label = f" ({first.label[:60]!r})" if first.label is not None else ""
        super().__init__(
            f"{first.who or 'somebody'} was first, and said {first.answer}{label} about {first.subject[:12]}. That stands; "
            "yours was not kept."
        )


def put(directory: Path, asked: Asked) -> Path:
    """Leave a file for the run, durable when this returns. Raises `Taken` where its subject is decided already, and UserError
    for what cannot be asked, or written."""
    if fault := wrong(asdict(asked)):
        raise UserError(f"This cannot be asked of the run: {fault}.")
    folder = directory / FOLDER
    with database.explained(directory):
        checkpoints.own(directory)
        folder.mkdir(exist_ok=True)
        path, aside = folder / f"{asked.id}.json", folder / f".{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(asdict(asked)))
                file.flush()
                os.fsync(file.fileno())
            os.link(aside, path)  # fails where the name is there: a rename would put it in the place of the first
        except FileExistsError:
            raise Taken(read(path) or asked) from None
        finally:
            aside.unlink(missing_ok=True)
        database.sync(folder)
    return path


def numbered(directory: Path, kind: str, answer: str = "", who: str = "", at: float = 0.0) -> Asked:
    """Ask for an extension or a pause under the next free number. Returns what was asked."""
    for number in range(1, 10_000):
        asked = Asked(kind, f"{number:04d}", answer, None, who, at)
        try:
            put(directory, asked)
        except Taken:
            continue
        return asked
    raise UserError(f"{directory}/{FOLDER} is full of requests: remove those that are done.")


def listed(directory: Path, *kinds: str) -> list[Asked]:
    """What was asked, taken in or not, in order of the names. Empty where nobody asked anything."""
    try:
        checkpoints.own(directory)
        names = sorted(os.listdir(directory / FOLDER))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = (read(directory / FOLDER / name) for name in names if (m := NAME.fullmatch(name)) and m[1] in kinds)
    return [asked for asked in found if asked is not None]


def read(path: Path) -> Asked | None:
    """A file of this kind, or None where it is something else."""
    named = NAME.fullmatch(path.name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not named or not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            said = json.loads(file.read(LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    if wrong(said) or (said["kind"], said["subject"]) != named.groups():
        return None
    return Asked(**said)


def wrong(said: Any) -> str:
    """What speaks against a request, "" for nothing."""
    if not isinstance(said, dict) or set(said) != set(Asked.__annotations__):
        return "no request has such fields"
    kind, answer, label = said["kind"], said["answer"], said["label"]
    texts = [said[key] for key in ("kind", "subject", "answer", "who")] + ([] if label is None else [label])
    if not all(isinstance(text, str) and len(text) <= LONGEST and database.is_utf8(text) for text in texts):
        return f"what it says is no text of at most {LONGEST:,} characters"
    if type(said["at"]) not in (int, float) or not 0 <= said["at"] < 1e12:
        return "it has no time"
    if not NAME.fullmatch(f"{kind}-{said['subject']}.json"):
        return "it is about nothing that is known"
    if kind == "extend" and (fault := no_budget(answer)):
        return fault
    if kind in LABELS and answer not in ANSWERS:
        return f"{answer!r} is neither accept, reject nor edit"
    if (label is not None) != (answer == "edit"):
        return "a new label belongs to edit, and edit needs one"
    return "" if label is None or label.strip() else "the new label is empty"


def no_budget(text: str) -> str:
    try:
        parse_budget(text)
    except UserError as error:
        return str(error).rstrip(".")
    return ""


def forget_pauses(directory: Path) -> bool:
    """Remove what asks for a pause. True where there was any."""
    found = listed(directory, "pause")
    for asked in found:
        (directory / FOLDER / f"{asked.id}.json").unlink(missing_ok=True)
    return bool(found)


def row(asked: Asked, round: int, step: int, made: str | None = None) -> tuple:
    """Of table `asked`. made: the id of the task that came of it."""
    return (asked.id, round, step, asked.kind, asked.subject, asked.answer, asked.label, made, asked.who, asked.at)


def extension(directory: Path) -> Asked | None:
    """The next extension that a finished run was asked for and has not had."""
    with Store.open(directory) as store:
        last, taken = store.last_commit(), {id for (id,) in store.rows("SELECT id FROM asked")}
    return next(iter(untaken(directory, taken, "extend")), None) if last and last.finished else None


def untaken(directory: Path, taken: Iterator[str] | set[str], *kinds: str) -> list[Asked]:
    """What was asked and is not among the ids of `taken`."""
    known = set(taken)
    return [asked for asked in listed(directory, *kinds) if asked.id not in known]


def holder(directory: Path) -> int | None:
    """The process that writes to the run, None where none does. Looks and locks nothing: a lock that is tried for a moment
    would turn away a run that begins in that moment."""
    lock = directory / "run.lock"
    try:
        pid, known = int(lock.read_text()[:20] or 0), lock.stat()
        held = Path(f"/proc/{pid}/fd").iterdir()
        return pid if pid and any(same(path, known) for path in held) else None
    except (OSError, ValueError):
        return None


def same(path: Path, known: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), known)
    except OSError:
        return False
