"""The only state of a run besides its weights: one SQLite file, and a directory for each checkpoint.

    RUN/run.db         every task, rollout, verdict, batch, step, evaluation and decision (tables: database.py)
    RUN/run.lock       held by the one process that writes; it names that process
    RUN/checkpoints/   000012/ is what commit 12 saved, with checksums

1. The `add_…` functions buffer in memory. `commit` alone writes, so what is on disk is exactly the state of a commit.
2. A commit writes its checkpoint under another name, sums, syncs and renames it, then writes every buffered row and its own
   row in one transaction, and only then removes checkpoints that earlier commits named and neither of the last two names.
3. A process killed at any instant leaves the previous commit or this one whole, and perhaps a directory that no commit names:
   opening the run for writing removes it.
4. Rows are a function of the run alone. What differs between identical runs (seconds, hosts) goes to `timings` and to `meta`
   keys that begin with "session".
5. One writer, any number of readers, also while it writes. The directory belongs on a local disk. No link inside it is
   followed; where it is moved while the run goes on, the next commit goes where it is now, and stops the run.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import astuple
from pathlib import Path
from typing import Any

from sharpen.core import HISTORY, Arm, ArmStats, Decision, Evaluation, Sample, Task, UserError
from sharpen.guard import Diagnosis
from sharpen.store import checkpoints, database, evaluations
from sharpen.store.place import Place
from sharpen.store.position import Commit, Position, following, name_of

DEADLINE = 30.0  # seconds that one query may take
SETTLE = 600.0  # seconds that a commit in the background may take
# The instants of a commit, in order.
FAULTS = ("saved", "synced", "renamed", "begun", "inserted", "written", "committed", "cleaned")

Fault = Callable[[str], object]


def no_fault(name: str) -> None:
    """What happens at the instants of a commit when nobody is testing them."""


class Store:
    """One run's directory, from `Store.create` or `Store.open`, in a with statement.

    Leaving it discards what was added since the last commit. `session` is one more than the last one that committed.
    """

    def __init__(self, directory: Path, write: bool, fault: Fault, meta: Mapping[str, Any] | None = None) -> None:
        self._place = Place(directory)
        self._fault = fault
        self._pending: dict[str, list[tuple]] = defaultdict(list)
        self._tasks: dict[str, Task] = {}
        self._timings: dict[tuple[int, str], float] = defaultdict(float)
        self._history: dict[Arm, deque[ArmStats]] | None = None
        self._thread = ThreadPoolExecutor(1, "sharpen-store")
        self._unsettled: Future[None] | None = None
        self.beside = 0.0  # seconds that the latest commit in the background has taken
        with ExitStack() as stack, database.explained(directory):
            stack.callback(self._place.close)
            checkpoints.own(directory)
            if write:
                stack.enter_context(database.locked(directory))
            if meta is not None:
                database.begin(directory, meta)
            path = directory / "run.db"
            self._db = stack.enter_context(closing(database.connect(path, "rw" if write else "ro")))
            database.check(self._db, directory)
            self._reader = stack.enter_context(closing(database.connect(path, "ro"))) if write else self._db
            self.session: int = self._db.execute("SELECT coalesce(max(session), 0) + 1 FROM timings").fetchone()[0]
            if write:
                database.whole(self._db, directory)
                self.clean()
            self._stack = stack.pop_all()

    @property
    def directory(self) -> Path:
        """Where the run is."""
        return self._place.path

    @classmethod
    def create(cls, directory: Path | str, meta: Mapping[str, Any], fault: Fault = no_fault) -> Store:
        """Begin a run in a directory, made where missing. meta is kept as JSON.

        Raises UserError where the directory already holds a run, is in use, or cannot be written.
        """
        path = Path(directory)
        with database.explained(path):
            (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        return cls(path, True, fault, meta)

    @classmethod
    def open(cls, directory: Path | str, write: bool = False, fault: Fault = no_fault) -> Store:
        """The run in a directory: with write=True to go on with it, else to read it, also while it is going.

        Opening for writing removes what a killed commit left behind. Raises UserError where the directory holds no run, or one
        of a newer version, or is damaged, and for writing also where it is in use or cannot be written.
        """
        path = Path(directory)
        if not (path / "run.db").is_file():
            if (path / "config.json").is_file():
                raise UserError(f"{path} is a model, and holds no run. Name the directory of a run, such as runs/latest.")
            what = "holds no run: there is no run.db in it" if path.is_dir() else "is not a directory, so it holds no run"
            raise UserError(f"{path} {what}. Check the path, or begin a run with `sharpen run --run-dir {path}`.")
        return cls(path, write, fault)

    def close(self) -> None:
        """Give the directory up. What was not committed is gone."""
        try:
            self.settle()
        finally:
            self._thread.shutdown()
            self._stack.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Adding: memory only, until the next commit.

    def add_meta(self, key: str, value: Any) -> None:
        """Set one key to a JSON value. What differs between identical runs belongs under a key that begins with "session"."""
        self._pending["meta"].append((key, database.to_json(value)))

    def add_tasks(self, tasks: Iterable[Task]) -> None:
        """Tasks of samples need not be added. Of tasks with the same id the first one is kept."""
        for task in tasks:
            self._tasks.setdefault(task.id, task)

    def add_samples(self, purpose: str, step: int, round: int, samples: Iterable[Sample]) -> None:
        """Judged rollouts, with their tasks. Ids must be new to the run; those that sort in order of writing are fastest."""
        rollouts, verdicts = self._pending["rollouts"], self._pending["verdicts"]
        for sample in samples:
            self._tasks.setdefault(sample.rollout.task.id, sample.rollout.task)
            rollouts.append(database.rollout_row(sample, purpose, step, round))
            verdicts.append(database.verdict_row(sample))

    def add_batch(self, step: int, samples: Iterable[Sample]) -> None:
        """The samples that a learning step trains on, with the reward and weight they have there."""
        self._pending["batches"].extend((step, s.rollout.id, s.verdict.reward, float(s.weight)) for s in samples)

    def add_step(self, step: int, phase: str, round: int, stats: Mapping[str, Any]) -> None:
        """What a step measured, as JSON. phase is warmup or loop; steps count on across phases."""
        self._pending["steps"].append((step, phase, round, database.to_json(stats)))

    def add_arm_stats(self, stats: Iterable[ArmStats]) -> None:
        """What a curriculum may know; `history` shows it at once."""
        history = self._load_history()
        for s in stats:
            row = (s.step, s.arm.family, s.arm.level, int(s.n), int(s.successes), float(s.abs_advantage), int(s.tokens))
            self._pending["arm_stats"].append(row)
            history[s.arm].append(s)

    def add_rows(self, table: str, rows: Iterable[tuple]) -> None:
        """Rows of `task_stats` (attempts.py), `grown` or `refusals`, as database.py has their columns."""
        self._pending[table].extend(rows)

    def add_evaluation(self, round: int, purpose: str, evaluation: Evaluation) -> None:
        """purpose is validation, retention, before or test."""
        self._pending["evaluations"].extend(evaluations.rows(round, purpose, evaluation))

    def add_decision(self, round: int, decision: Decision) -> None:
        """A round that is rolled back keeps its rows: they happened."""
        row = (round, decision.answer, decision.reason, database.to_json(decision.numbers))
        self._pending["decisions"].append(row)

    def add_diagnosis(self, step: int, diagnosis: Diagnosis) -> None:
        evidence = database.to_json(diagnosis.evidence)
        self._pending["diagnoses"].append((step, diagnosis.name, bool(diagnosis.fatal), evidence, diagnosis.cure))

    def add_timing(self, phase: str, seconds: float, step: int) -> None:
        """Wall seconds; those of one phase and step add up until the next commit."""
        self._timings[step, phase] += seconds

    # Committing.

    def commit(self, position: Position, save: Callable[[Path], object] | None = None, wait: bool = True) -> Commit:
        """Make everything added so far durable together with the checkpoint that save(directory) writes, or neither.

        Without `save` the checkpoint of the last commit is carried on. Where it fails (UserError on a full disk; whatever
        `save` raises), the last commit stands, what was added stays in memory, and the same commit may be tried again.

        wait  False returns once `save` has written; the disk is waited for and rows are inserted beside whatever is done next.
              A failure of that part is raised by whichever call comes next, and what was to be committed is given up.
        """
        commit = following(position, self.last_commit(), save is not None)
        rest: Callable[[], object] | None = None
        with database.explained(self._place.follow()):
            try:
                if save and commit.checkpoint:
                    rest = checkpoints.write(self.directory, commit.checkpoint, save)
                    self._fault("saved")
            except BaseException:
                self.clean()
                raise
        if wait or self._place.moved:
            self._finish(commit, self._rows(), save is not None, rest)
            self._forget()
            self._place.stop_if_moved()
        else:
            self._unsettled = self._thread.submit(self._behind, commit, self._rows(), save is not None, rest)
            self._forget()
        return commit

    def settle(self) -> None:
        """Wait for a commit that goes on in the background, and raise what it raised."""
        if unsettled := self._unsettled:
            self._unsettled = None
            unsettled.result(timeout=SETTLE)

    def _rows(self) -> dict[str, list[tuple]]:
        timings = [(self.session, step, phase, s) for (step, phase), s in self._timings.items()]
        return {"tasks": [database.task_row(t) for t in self._tasks.values()], **self._pending, "timings": timings}

    def _forget(self) -> None:
        self._pending, self._tasks, self._timings = defaultdict(list), {}, defaultdict(float)

    def _behind(self, *given: Any) -> None:
        began = time.monotonic()
        self._finish(*given)
        self.beside = time.monotonic() - began

    def _finish(self, commit: Commit, rows: Mapping[str, list[tuple]], saved: bool, rest: Callable[[], object] | None) -> None:
        """Write what is left of a checkpoint and make it durable, then the rows and the commit that names it."""
        with database.explained(self._place.follow()):
            try:
                total = None
                if rest:
                    rest()
                if saved and commit.checkpoint:
                    total = checkpoints.publish(self.directory, commit.checkpoint, self._fault)
                with self._db:  # commits, or rolls back where anything raises
                    self._db.execute("BEGIN IMMEDIATE")
                    self._fault("begun")
                    for table in [name for name in rows if rows[name]]:
                        marks = ", ".join("?" * len(rows[table][0]))
                        insert = f"INSERT {database.CONFLICT.get(table, '')} INTO {table} VALUES ({marks})"
                        self._db.executemany(insert, rows[table])
                    self._fault("inserted")
                    self._db.execute("INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*astuple(commit), total))
                    self._fault("written")
                self._fault("committed")
            finally:
                self.clean()
        self._fault("cleaned")

    def clean(self) -> None:
        """Remove checkpoints that neither of the last two commits names: those of failed commits, and those out of use."""
        recent = self._db.execute("SELECT checkpoint, accepted FROM commits ORDER BY n DESC LIMIT 2").fetchall()
        known = {name for (name,) in self._db.execute("SELECT DISTINCT checkpoint FROM commits WHERE checkpoint NOT NULL")}
        (n,) = self._db.execute("SELECT coalesce(max(n), 0) + 1 FROM commits").fetchone()
        checkpoints.clean(self.directory, {name for row in recent for name in row}, known, name_of(n))

    # Reading what is committed.

    def _read(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        self.settle()
        with database.explained(self.directory):
            return self._db.execute(sql, params).fetchall()

    def last_commit(self) -> Commit | None:
        """Where to go on, or None where nothing was committed: then begin at the beginning, with what `meta` says."""
        rows = self._read("SELECT * FROM commits ORDER BY n DESC LIMIT 1")
        if not rows:
            return None
        n, phase, step, round, checkpoint, accepted, finished, _ = rows[0]
        return Commit(n, phase, step, round, checkpoint, accepted, bool(finished))

    def checkpoint_path(self, name: str) -> Path:
        """The directory of a checkpoint that a commit names. Raises UserError where it is gone."""
        path = self.directory / "checkpoints" / checkpoints.named(name)
        checkpoints.plain(path.parent, path)
        if not path.is_dir():
            raise UserError(f"{path} is gone, and the run needs it. If the run was copied, copy all of it; else begin anew.")
        return path

    def verified(self, name: str) -> Path:
        """The same, once every byte of it is found to be what was committed. Raises UserError that names what is not."""
        path = self.checkpoint_path(name)
        sums = self._read("SELECT checksum FROM commits WHERE n = ?", (int(name),))
        return checkpoints.verify(path, sums[0][0] if sums else None)

    def meta(self) -> dict[str, Any]:
        """Every key with its value, keys sorted."""
        return {key: json.loads(value) for key, value in self._read("SELECT key, value FROM meta ORDER BY key")}

    def history(self) -> dict[Arm, list[ArmStats]]:
        """The latest HISTORY entries of each arm, oldest first, arms sorted; also what is not committed yet. Costs O(arms)."""
        return {arm: list(stats) for arm, stats in sorted(self._load_history().items())}

    def _load_history(self) -> dict[Arm, deque[ArmStats]]:
        if self._history is None:
            self._history = defaultdict(lambda: deque(maxlen=HISTORY))
            for step, family, level, *sums in self._read("SELECT * FROM arm_stats ORDER BY step"):
                self._history[Arm(family, level)].append(ArmStats(step, Arm(family, level), *sums))
        return self._history

    def steps(self) -> list[dict[str, Any]]:
        """Every step in order: its stats, with `step`, `phase` and `round`."""
        rows = self._read("SELECT step, phase, round, stats FROM steps ORDER BY step")
        return [{**json.loads(stats), "step": step, "phase": phase, "round": round} for step, phase, round, stats in rows]

    def evaluation(self, round: int, purpose: str) -> Evaluation | None:
        """As it was added, or None."""
        return evaluations.read(self._read(evaluations.ONE, (round, purpose)))

    def decisions(self) -> dict[int, Decision]:
        """By round, in order."""
        rows = self._read("SELECT round, answer, reason, numbers FROM decisions ORDER BY round")
        return {n: Decision(answer, reason, json.loads(numbers)) for n, answer, reason, numbers in rows}

    def rounds(self) -> list[dict[str, Any]]:
        """Every decided round in order: `round`, `answer`, `accepted` (it was better), and on validation, of the weights that
        it ended with, `accuracy` (mean over arms) and `n` tasks."""
        arms: dict[int, list[tuple[int, int]]] = defaultdict(list)
        sql = "SELECT round, n, correct FROM evaluations WHERE purpose = 'validation' AND n > 0 ORDER BY rowid"
        for number, n, correct in self._read(sql):
            arms[number].append((n, correct))
        found = []
        for number, answer in self._read("SELECT round, answer FROM decisions ORDER BY round"):
            seen = arms[number]
            accuracy = sum(correct / n for n, correct in seen) / len(seen) if seen else 0.0
            row = {"round": number, "answer": answer, "accepted": answer == "better", "accuracy": accuracy}
            found.append({**row, "n": sum(n for n, _ in seen)})
        return found

    def diagnoses(self) -> list[tuple[int, Diagnosis]]:
        """What the doctor found while the run went, each with the step at which he did."""
        rows = self._read("SELECT step, name, fatal, evidence, cure FROM diagnoses ORDER BY rowid")
        return [(step, Diagnosis(name, bool(fatal), json.loads(evidence), cure)) for step, name, fatal, evidence, cure in rows]

    def read_rollouts(
        self, purpose: str, step: int | None = None, round: int | None = None, limit: int = -1, offset: int = 0
    ) -> list[Sample]:
        """Samples in order of writing, each with weight 1. limit (-1 is all) and offset page through them."""
        wanted = {"purpose": purpose, "step": step, "round": round, "limit": limit, "offset": offset}
        return self._samples(database.SAMPLES, wanted)

    def read_named(self, ids: Sequence[str]) -> list[Sample]:
        """The samples with these ids, in this order, each with weight 1."""
        return self._samples(database.NAMED, {"ids": json.dumps(list(ids))})

    def successes(self, keep: int, before: int = 2**62) -> list[Sample]:
        """Each arm's latest `keep` right answers in warm-up and training, oldest first; of each group and task the first.
        Only of steps `before` this one."""
        return self._samples(database.SUCCESSES, {"keep": keep, "before": before})

    def _samples(self, sql: str, params: Mapping[str, Any]) -> list[Sample]:
        tasks: dict[str, Task] = {}
        return [database.read_sample(row, tasks) for row in self._read(sql, params)]

    def rows(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = (), deadline: float = DEADLINE) -> list[sqlite3.Row]:
        """Answer one SELECT. Values are read by index or by column name.

        Raises UserError for anything that is not one statement that reads, that fails, or takes more than `deadline` seconds.
        """
        self.settle()
        end = time.monotonic() + deadline
        self._reader.set_progress_handler(lambda: time.monotonic() > end, 10_000)
        with database.explained(self.directory):
            try:
                return self._reader.execute(sql, params).fetchall()
            except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
                name = getattr(error, "sqlite_errorname", "")
                if name == "SQLITE_INTERRUPT":
                    raise UserError(f"The query was stopped after {deadline:g} s. Narrow it with WHERE or LIMIT.") from error
                if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "SQLITE_BUSY")):
                    raise
                cure = "Write one statement that reads; SELECT sql FROM sqlite_master shows the tables."
                raise UserError(f"The query failed: {str(error).rstrip('.')}. {cure}") from error
            finally:
                self._reader.set_progress_handler(None, 0)
