"""run.db: its tables, how the nouns become rows and come back, how it is opened and locked, and what its errors mean.

`Store` (store.py) decides what is written when; nothing else needs this file.

Text is stored plain, so that queries show it; only text with a lone surrogate, which UTF-8 cannot hold, becomes a blob.
Mappings and tuples are JSON. Arrays are bytes, little-endian: tokens int32, sampled one byte each, logprobs float32.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.core import Ledger, Rollout, Sample, Span, Task, Turn, UserError, Verdict
from sharpen.store.place import refuse_taken
from sharpen.store.tables import GROWTH

SCHEMA_VERSION = 7

# NOT NULL and CHECK also refuse NaN, which SQLite would store as NULL.
SCHEMA = f"""{GROWTH}
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE tasks(id TEXT PRIMARY KEY, family TEXT NOT NULL, level INTEGER NOT NULL, split TEXT NOT NULL,
    prompt TEXT NOT NULL, answer TEXT, verifier TEXT NOT NULL, data TEXT NOT NULL, solution TEXT, parents TEXT NOT NULL,
    operator TEXT NOT NULL);
CREATE TABLE rollouts(id TEXT PRIMARY KEY, purpose TEXT NOT NULL, step INTEGER NOT NULL, round INTEGER NOT NULL,
    task TEXT NOT NULL, grp INTEGER NOT NULL, turns TEXT NOT NULL, tokens BLOB NOT NULL, sampled BLOB NOT NULL,
    logprobs BLOB NOT NULL, n_prompt INTEGER NOT NULL, n_sampled INTEGER NOT NULL, stop TEXT NOT NULL,
    version INTEGER NOT NULL, seed INTEGER NOT NULL, parent TEXT, more TEXT);
CREATE INDEX rollouts_by_step ON rollouts(purpose, step, n_sampled);
CREATE INDEX rollouts_by_task ON rollouts(task);
CREATE TABLE verdicts(rollout TEXT PRIMARY KEY, outcome TEXT NOT NULL,
    reward REAL CHECK ((reward IS NULL) = (outcome = 'unscorable')),
    parts TEXT NOT NULL, feedback TEXT NOT NULL, rule TEXT NOT NULL, verifier_version TEXT NOT NULL,
    isolation TEXT NOT NULL, credit TEXT) WITHOUT ROWID;
CREATE TABLE batches(step INTEGER NOT NULL, rollout TEXT NOT NULL, reward REAL NOT NULL, weight REAL NOT NULL);
CREATE TABLE steps(step INTEGER PRIMARY KEY, phase TEXT NOT NULL, round INTEGER NOT NULL, stats TEXT NOT NULL);
CREATE TABLE arm_stats(step INTEGER NOT NULL, family TEXT NOT NULL, level INTEGER NOT NULL, n INTEGER NOT NULL,
    successes INTEGER NOT NULL, abs_advantage REAL NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY(step, family, level));
CREATE TABLE task_stats(step INTEGER NOT NULL, number INTEGER NOT NULL, n INTEGER NOT NULL, successes INTEGER NOT NULL);
CREATE TABLE evaluations(round INTEGER NOT NULL, purpose TEXT NOT NULL, family TEXT NOT NULL, level INTEGER NOT NULL,
    n INTEGER NOT NULL, correct INTEGER NOT NULL, wrong INTEGER, malformed INTEGER, cut_off INTEGER, lost INTEGER,
    readable INTEGER, solved TEXT NOT NULL, PRIMARY KEY(round, purpose, family, level));
CREATE TABLE decisions(round INTEGER PRIMARY KEY, answer TEXT NOT NULL CHECK (answer IN ('better', 'unclear', 'worse')),
    reason TEXT NOT NULL, numbers TEXT NOT NULL);
CREATE TABLE diagnoses(step INTEGER NOT NULL, name TEXT NOT NULL, fatal INTEGER NOT NULL, evidence TEXT NOT NULL,
    cure TEXT NOT NULL);
CREATE TABLE timings(session INTEGER NOT NULL, step INTEGER NOT NULL, phase TEXT NOT NULL, seconds REAL NOT NULL);
CREATE TABLE commits(n INTEGER PRIMARY KEY, phase TEXT NOT NULL, step INTEGER NOT NULL, round INTEGER NOT NULL,
    checkpoint TEXT, accepted TEXT, finished INTEGER NOT NULL, checksum TEXT);
"""
CONFLICT = {"meta": "OR REPLACE", "tasks": "OR IGNORE"}  # a task drawn again is the same task


# Nouns and rows. Those of rollouts and verdicts are written by the thousand, so their code counts microseconds.

INT, FLOAT = np.dtype("<i4"), np.dtype("<f4")


def task_row(task: Task) -> tuple:
    prompt, data, parents = to_json(task.prompt), to_json(task.data), to_json(task.parents)
    answer, solution = _text(task.answer), _text(task.solution)
    where = (task.id, task.family, task.level, task.split)
    return (*where, prompt, answer, task.verifier, data, solution, parents, _text(task.operator))


def rollout_row(sample: Sample, purpose: str, step: int, round: int) -> tuple:
    r = sample.rollout
    tokens, logprobs = np.asarray(r.tokens, INT).tobytes(), np.asarray(r.logprobs, FLOAT).tobytes()
    sampled = np.asarray(r.sampled, bool).tobytes()
    if not len(tokens) == 4 * len(sampled) == len(logprobs):
        raise ValueError(f"rollout {r.id}: {len(r.tokens)} tokens, {len(r.sampled)} sampled, {len(r.logprobs)} logprobs")
    n = sampled.count(1)
    prompt = sampled.find(1) if n else len(sampled)
    turns = f"[{', '.join(map(_quote, r.turns))}]"
    if not is_utf8(turns):
        turns = to_json(r.turns)
    where = (r.id, purpose, step, round, r.task.id, sample.group)
    more = None
    if r.others or len(r.spans) > 1 or len(r.turns) > 1:
        spent = astuple(replace(r.spent, seconds=0.0))  # in which two runs of one seed differ
        more = to_json({"spans": list(map(astuple, r.spans)), "others": list(map(_turn, r.others)), "spent": spent})
    return (*where, turns, tokens, sampled, logprobs, prompt, n, r.stop, r.version, r.seed, r.parent, more)


def only_span(rollout: Rollout) -> Span:
    """The span of a rollout in which the student spoke once, last of what it said."""
    n = np.flatnonzero(rollout.sampled)
    start = int(n[0]) if len(n) else len(rollout.tokens)
    turn = max(len(rollout.turns) - 1, 0)
    return Span(start, len(rollout.tokens), "", rollout.version, turn, rollout.stop == "forced")


def _turn(turn: Turn) -> list[Any]:
    """A conversation as JSON; its arrays are those of a rollout, in base 64."""
    arrays = np.asarray(turn.tokens, INT), np.asarray(turn.sampled, bool), np.asarray(turn.logprobs, FLOAT)
    packed = [base64.b64encode(a.tobytes()).decode() for a in arrays]
    return [turn.text, *packed, turn.stop, turn.version, list(map(astuple, turn.spans))]


def _unturn(text: str, tokens: str, sampled: str, logprobs: str, stop: str, version: int, spans: list[Any]) -> Turn:
    said, by, logp = (
        np.frombuffer(base64.b64decode(a), kind) for a, kind in ((tokens, INT), (sampled, bool), (logprobs, FLOAT))
    )
    return Turn(text, said, by, logp, stop, version, tuple(Span(*span) for span in spans))


def verdict_row(sample: Sample) -> tuple:
    v = sample.verdict
    parts = to_json(v.parts) if v.parts else "{}"
    credit = to_json(v.credit) if v.credit else None
    return (sample.rollout.id, v.outcome, v.reward, parts, _text(v.feedback), v.rule, v.version, v.isolation, credit)


# In the order in which `read_sample` takes them.
COLUMNS = """
SELECT r.id, r.task, r.grp, r.turns, r.tokens, r.sampled, r.logprobs, r.stop, r.version, r.seed, r.parent, r.more,
    v.outcome, v.reward, v.parts, v.feedback, v.rule, v.verifier_version, v.isolation, v.credit,
    t.family, t.level, t.split, t.prompt, t.answer, t.verifier, t.data, t.solution, t.parents, t.operator
"""
JUDGED = "rollouts r JOIN verdicts v ON v.rollout = r.id JOIN tasks t ON t.id = r.task"
SAMPLES = f"""{COLUMNS} FROM {JUDGED}
WHERE r.purpose = :purpose AND (:step IS NULL OR r.step = :step) AND (:round IS NULL OR r.round = :round)
ORDER BY r.rowid LIMIT :limit OFFSET :offset
"""
NAMED = f"{COLUMNS} FROM json_each(:ids) wanted JOIN {JUDGED} WHERE r.id = wanted.value ORDER BY wanted.key"
# Beside min(), SQLite takes the other columns from the row that holds the minimum.
SUCCESSES = f"""
WITH firsts AS (
    SELECT min(r.rowid) AS place, t.family, t.level FROM {JUDGED}
    WHERE r.purpose IN ('warmup', 'train') AND r.step < :before AND v.outcome = 'correct' GROUP BY r.purpose, r.step, r.grp,
    r.task),
latest AS (SELECT place, row_number() OVER (PARTITION BY family, level ORDER BY place DESC) AS age FROM firsts)
{COLUMNS} FROM latest JOIN {JUDGED} WHERE r.rowid = place AND age <= :keep ORDER BY place
"""


def read_task(row: Sequence[Any]) -> Task:
    """Its columns in the order of the schema, without the id."""
    family, level, split, prompt, answer, verifier, data, solution, parents, operator = row
    question, origin, answer, solution = (
        tuple(json.loads(prompt)),
        tuple(json.loads(parents)),
        _untext(answer),
        _untext(solution),
    )
    return Task(question, answer, family, level, split, verifier, json.loads(data), solution, origin, _untext(operator))


def read_sample(row: tuple, tasks: dict[str, Task]) -> Sample:
    """tasks holds those read so far, so that samples of one task share it."""
    id, task_id, group, turns, tokens, sampled, logprobs, stop, version, seed, parent, more = row[:12]
    outcome, reward, *notes = row[12:20]
    if task_id not in tasks:
        tasks[task_id] = read_task(row[20:])
    arrays = (np.frombuffer(tokens, INT), np.frombuffer(sampled, bool), np.frombuffer(logprobs, FLOAT))
    rollout = Rollout(tasks[task_id], *arrays, tuple(json.loads(turns)), stop, version, seed, id, parent)
    kept = json.loads(more) if more else {"spans": [astuple(only_span(rollout))], "others": []}
    spans, others = tuple(Span(*span) for span in kept["spans"]), tuple(_unturn(*turn) for turn in kept["others"])
    spent = Ledger(*kept.get("spent", (rollout.n_sampled, len(sampled) - rollout.n_sampled, 1)))
    rollout = replace(rollout, spans=spans, others=others, spent=spent)
    parts, feedback, rule, verifier_version, isolation, credit = notes
    worth = tuple(json.loads(credit)) if credit else ()
    verdict = Verdict(outcome, reward, json.loads(parts), _untext(feedback), rule, verifier_version, isolation, worth)
    return Sample(rollout, verdict, group)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON: {value!r}")


_encode = json.JSONEncoder(ensure_ascii=False, default=_plain).encode  # made once: json.dumps makes one a call
_quote = json.encoder.encode_basestring


def to_json(value: Any) -> str:
    """Readable JSON; NumPy scalars and any mapping are welcome, and a NaN stays one."""
    text = _encode(value)
    return text if is_utf8(text) else json.dumps(value, default=_plain)


def is_utf8(text: str) -> bool:
    return text.isascii() or not re.search("[\ud800-\udfff]", text)


def _text(text: str | None) -> str | bytes | None:
    return text if text is None or is_utf8(text) else text.encode("utf-8", "surrogatepass")


def _untext(value: Any) -> Any:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


# Files.


def sync(path: Path) -> None:
    """Make a file's content, or a directory's names, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_held: set[int] = set()  # descriptors of locks


def _release_in_child() -> None:
    # A forked child that outlives a killed parent would keep the run locked.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_release_in_child)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Be the one process that writes, or raise a UserError that names it. The kernel frees the lock of a dead process."""
    descriptor = os.open(directory / "run.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    _held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 20, 0).decode().strip()
            who = f"process {pid}" if pid else "another process"
            raise UserError(f"{directory} is in use by {who}. Wait until it ends, or stop it, then try again.") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            os.close(descriptor)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """mode is rwc (make it), rw, or ro: rows by index or name, and nothing but SELECT."""
    # SQLite cannot make its shared memory in a read-only directory; a database without a log can be read without.
    closed = not os.access(path.parent, os.W_OK, effective_ids=True)
    still = mode == "ro" and closed and not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.resolve().as_uri()}?mode={mode}{'&immutable=1' * still}"
    db = sqlite3.connect(
        uri, uri=True, timeout=10, isolation_level=None, check_same_thread=False
    )  # one at a time, see Store.settle
    with ExitStack() as stack:
        stack.callback(db.close)
        if mode == "ro":
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA query_only = ON")
            db.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")  # made now: the authorizer would not let them be
            allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
            db.set_authorizer(lambda action, *what: sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY)
        else:
            for pragma in ("page_size = 16384", "journal_mode = WAL", "synchronous = FULL", "cache_size = -32768"):
                db.execute(f"PRAGMA {pragma}")
        stack.pop_all()
    return db


def begin(directory: Path, meta: Mapping[str, Any]) -> None:
    """Make run.db with its tables and meta: whole, or not at all. Raises UserError where the directory holds a run."""
    refuse_taken(directory)
    for leftover in directory.glob("run.db.new*"):  # of a process that was killed here
        leftover.unlink()
    new = directory / "run.db.new"
    with closing(connect(new, "rwc")) as db, db:
        db.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";\n"):
            db.execute(statement)
        db.executemany("INSERT INTO meta VALUES (?, ?)", meta_rows(meta))
    sync(new)
    new.rename(directory / "run.db")
    sync(directory)
    sync(directory.resolve().parent)


def branch(origin: Path, directory: Path, meta: Mapping[str, Any]) -> None:
    """Copy what a run has committed into a new directory, under other meta: whole, or not at all.

    Checkpoints are never changed once they have their names, so the copy's files are links to the origin's where the file
    system has any. Raises UserError where the two differ in their meta key "warmup", or the directory holds anything.
    """
    with explained(directory):
        if directory.exists() and any(directory.iterdir()):
            raise UserError(
                f"{directory} is not empty, and a copy of a run would mix with what is there. Name a new directory."
            )
        new = directory.with_name(f"{directory.name}.new")
        if new.exists():  # of a process that was killed here
            shutil.rmtree(new)
        for place in filter(Path.is_dir, (origin / "checkpoints", origin / "base")):
            shutil.copytree(place, new / place.name, copy_function=_link)
        with closing(connect(origin / "run.db", "rw")) as theirs, closing(sqlite3.connect(new / "run.db")) as ours:
            check(theirs, origin)
            warmup = theirs.execute("SELECT value FROM meta WHERE key = 'warmup'").fetchone()
            if not warmup or json.loads(warmup[0]) != meta.get("warmup"):
                raise UserError(f"{origin} was warmed up in another way, so {directory} cannot begin as its copy.")
            theirs.backup(ours)
        with closing(connect(new / "run.db", "rw")) as db, db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM meta")
            db.executemany("INSERT INTO meta VALUES (?, ?)", meta_rows(meta))
        for path in (*new.rglob("*"), new):
            sync(path)
        directory.parent.mkdir(parents=True, exist_ok=True)
        new.rename(directory)
        sync(directory.resolve().parent)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def meta_rows(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, to_json(value)) for key, value in {"schema_version": SCHEMA_VERSION, **meta}.items()]


def check(db: sqlite3.Connection, directory: Path) -> None:
    """Raise UserError unless this is a run that this version can read."""
    known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    found = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() if known else None
    if not found:
        raise UserError(f"{directory}/run.db was not written by sharpen. Check the path.")
    if int(found[0]) != SCHEMA_VERSION:
        age, cure = ("a newer", "or a newer one") if int(found[0]) > SCHEMA_VERSION else ("an older", "or start a new run")
        why = f"is of {age} version: schema {found[0]}, and this sharpen knows {SCHEMA_VERSION}"
        raise UserError(f"{directory} {why}. Use the sharpen that made it, {cure}.")
    there = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if lacking := [name for name in re.findall(r"CREATE TABLE (\w+)", SCHEMA) if name not in there]:
        raise UserError(f"{directory}/run.db is damaged: it lacks the table {lacking[0]}. Go back to a copy of the run.")


def whole(db: sqlite3.Connection, directory: Path) -> None:
    """Raise UserError where a page of the database is not what SQLite wrote: before more is built on it."""
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise UserError(DAMAGED.replace("{}", str(directory)).replace(". ", f" ({found.splitlines()[-1]}). ", 1))


DAMAGED = "{}/run.db is damaged. Go back to a copy of the run, or begin anew with --model and the newest of checkpoints/."


# What SQLite or the system refuses (names of errors, or how they begin), what it means, and the cure; {} is the directory.
INTACT = "The last committed step is intact: make room, then go on with `sharpen resume {}`."
TROUBLES = (
    (("SQLITE_FULL", "ENOSPC", "EDQUOT", "EFBIG"), "The disk below {} is full", INTACT),
    (("SQLITE_IOERR", "EIO"), "The disk below {} is full or failing", INTACT),
    (
        ("SQLITE_READONLY", "SQLITE_CANTOPEN", "EACCES", "EPERM", "EROFS"),
        "{} is read-only or closed to you",
        "Make it writable, or copy the run to a place that is.",
    ),
    (
        ("SQLITE_CORRUPT", "SQLITE_NOTADB"),
        "{}/run.db is damaged",
        "Go back to a copy of the run, or begin anew with --model and the newest directory in checkpoints/.",
    ),
    (("SQLITE_BUSY", "SQLITE_LOCKED"), "Another program writes to {}/run.db", "Stop it, then try again."),
    (("EEXIST", "ENOENT", "ENOTDIR", "ENAMETOOLONG"), "{} cannot be the directory of a run", "Choose another --run-dir."),
    (("ENOLCK", "EOPNOTSUPP", "ENOTSUP"), "{} cannot be locked", "Choose a --run-dir on a local disk."),
)


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Turn what the disk, the file system or SQLite refuses into a UserError; let anything else pass."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        number = getattr(error, "errno", None) or 0
        name = getattr(error, "sqlite_errorname", None) or errno.errorcode.get(number, "")
        for names, what, cure in TROUBLES:
            if name.startswith(names):
                raise UserError(f"{what} ({error}). {cure}".replace("{}", str(directory))) from error
        raise
