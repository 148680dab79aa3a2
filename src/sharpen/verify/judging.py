"""Verdicts in processes beside the run: a slow, hanging or dying verifier costs its own verdict and nothing else.

1. `Judges.submit` hands over a response and returns at once; `collect` waits for the verdicts of all that were submitted.
2. A verdict that takes longer than the deadline has its process killed (SIGKILL, with whatever it started). A verdict that is
   lost so, or by the death of its process for any reason, or that is `unscorable`, is tried once more, in another process where
   there is one; then it is `unscorable`, with the reason as feedback. A UserError is raised where it comes twice.
3. So the deadline is our fault, never the model's. A verifier that runs a model's program gives that program a deadline of its
   own, well below this one, and calls its overrun `timeout`, which scores 0.
4. A verdict depends on task and response alone: not on the process that made it, nor on when, nor on its neighbours. So the
   same response to the same task, submitted again before its verdict was taken, is not judged again.
5. The verifiers in `verify.INSTANT` take microseconds and cannot hang: they are called at once, in this process. A user's own
   function always goes to another.
6. A process whose machine is gone costs nothing but time: what it had is judged by another, as if it had never been given away.
7. A process starts when the first response needs one, others when there is a second's work for each, for importing takes half
   of one; they die with this one, however it ends (process.py).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sharpen.core import Rollout, Sample, Task, UserError, Verdict
from sharpen.recipe import asked_for
from sharpen.verify import verdicts as verifiers
from sharpen.verify.process import Away, Lost, Process, Reply, pack
from sharpen.verify.verdicts import Verifier, boundary, seen_with
from sharpen.workers import slots

DEADLINE_S = 120.0  # for one verdict, beyond what its task grants to a program; a judge model has 60 s of its own
PORTION_S = 0.05  # work that a process is given at once: little, so that none is left with much at the end
PORTION = 64  # responses in it at most
WORTH_S = 1.0  # work that waits for each process, so that another one is started
HOPELESS = 12  # processes lost in a row, with no verdict between, after which the verifier itself is to blame


Seen = tuple[tuple[str, Any], ...]  # what a verifier asks for by name, and gets
Said = tuple[str, str, Seen]  # id of the task, the response, and what else is judged with it
SEEN = ("turns", "ledger")  # of each rollout


@dataclass(frozen=True)
class Job:
    """A response to be judged. `seen` is what the verifier asks for by name; `tried` is the worker that could not judge, once
    there was one."""

    key: str
    task: Task
    response: str
    seen: Seen = ()
    tried: int | None = None


class Judges:
    """Verifier processes, in a with statement.

    verify      (Task, response) -> Verdict: a function of a module or of a user's file, or a functools.partial of one
    workers     processes at most; None: one for each core, or each worker of `workers.using`
    deadline_s  seconds for one verdict, well above what the verifier needs; `patience` adds what the task grants to programs

    Raises UserError where another process could not find the verifier.
    """

    def __init__(self, verify: Verifier, *, workers: int | None = None, deadline_s: float = DEADLINE_S) -> None:
        self.verify, self.deadline_s = verify, deadline_s
        self.workers = workers or slots()
        self._packed, self._sees = pack(verify), sees(verify)
        self._guarded = boundary(verify)  # made once: a verdict that is made here takes no longer than making this
        self._changed = threading.Condition()  # guards what follows, and wakes workers and who waits for verdicts
        self._waiting: deque[Job] = deque()
        self._again: deque[Job] = deque()  # jobs that a worker could not do
        self._submitted: dict[str, Said] = {}  # key -> what was said, in order, until they are taken
        self._first: dict[Said, str] = {}  # what was said -> the first key among those submitted
        self._same: dict[str, list[str]] = {}  # a first key -> the others, while its verdict is awaited
        self._judged: dict[str, Reply] = {}
        self._threads: list[threading.Thread] = []  # one for each process
        self._busy: dict[int, Process] = {}  # by worker
        self._began = 0.0  # when the first process was started
        self._idle = 0  # workers
        self._lost = 0  # processes since the last verdict
        self._away = 0  # processes that did not start since then, because their machine was gone
        self._pace = 0.0  # seconds that a verdict takes, of late
        self._failure: BaseException | None = None
        self._closed = False

    def submit(self, key: str, task: Task, response: str, seen: Seen = ()) -> None:
        """Have a response judged. A key that was submitted and not yet taken is not judged again."""
        if key in self._submitted:
            return
        self._submitted[key] = said = (task.id, response, seen)
        if instant(self.verify, task):
            began = time.perf_counter()
            verify = boundary(seen_with(self.verify, seen)) if seen else self._guarded
            self._judged[key] = verify(task, response), time.perf_counter() - began
            return
        with self._changed:
            first = self._first.setdefault(said, key)
            if first in self._judged:
                self._judged[key] = self._judged[first]
            elif first != key:
                self._same.setdefault(first, []).append(key)
            else:
                self._waiting.append(Job(key, task, response, seen))
                self._call(len(self._waiting))

    def take(self, key: str) -> Reply:
        """Wait for the verdict on a submitted response, and the seconds it took.

        It comes at the latest two deadlines and two starts of a process after its turn. Raises UserError where the verifier
        did, cannot be loaded in a process, or only ever loses its processes.
        """
        with self._changed:
            while key not in self._judged:
                if self._failure is not None:
                    raise self._failure
                if key not in self._submitted:
                    raise KeyError(key)
                if self._closed:
                    raise RuntimeError(f"no verdict on {key}: the judges are closed")
                self._changed.wait(WORTH_S)
                for _ in range(min(len(self._waiting), self.workers)):
                    self._call(len(self._waiting))
            said = self._submitted.pop(key)
            if self._first.get(said) == key:
                del self._first[said]
            return self._judged.pop(key)

    def collect(self) -> dict[str, Verdict]:
        """Wait for the verdicts on all that was submitted and not taken, in the order of submission. Raises like `take`."""
        return {key: self.take(key)[0] for key in list(self._submitted)}

    def begin(self, number: int, rollout: Rollout) -> None:
        """Submit a finished rollout under its id, while others are still generated: what `rollouts.drive` calls `finished`."""
        if rollout.stop != "failed" and not isinstance(rollout.by, Verdict):
            self.submit(rollout.id, rollout.task, rollout.judged, seen_of(rollout, self._sees))

    def judge(self, rollouts: Sequence[Rollout], groups: Sequence[int]) -> list[Sample]:
        """What `judge` returns. Those that `begin` knows already are only waited for."""
        for number, rollout in enumerate(rollouts):
            if rollout.id not in self._submitted:
                self.begin(number, rollout)
        return join(rollouts, groups, lambda rollout: self.take(rollout.id)[0])

    def close(self) -> None:
        """Stop the processes. What was not taken is dropped."""
        with self._changed:
            self._closed = True
            for process in self._busy.values():
                process.signal()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Judges:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _call(self, jobs: int, anew: bool = False) -> None:
        """Wake a worker for new jobs, or add one where all are busy and there is work enough, or that is to do what another
        could not (`anew`). The lock is held."""
        if self._idle < jobs and len(self._threads) < self.workers and (anew or self._worthwhile()):
            name = len(self._threads)
            self._began = self._began or time.monotonic()
            self._threads.append(threading.Thread(target=self._work, args=(name,), name=f"judge {name}", daemon=True))
            self._threads[-1].start()
        else:
            self._changed.notify_all()

    def _worthwhile(self) -> bool:
        """Whether another process is: by what verdicts take, or where none has come yet, by how long that has been."""
        if self._pace:
            return len(self._waiting) * self._pace > WORTH_S * len(self._threads)
        return not self._threads or time.monotonic() - self._began > WORTH_S

    def _work(self, me: int) -> None:
        """What each thread does: one process, and another one when that is lost."""
        process: Process | None = None
        try:
            while jobs := self._next(me):
                done, started, deadlines = 0, False, [self.deadline_s + patience(job.task) for job in jobs]
                try:
                    process, started = self._process(me, process), True
                    for replies in process.judge([(job.task, job.response, job.seen) for job in jobs], deadlines):
                        self._settle(me, jobs[done : done + len(replies)], replies)
                        done += len(replies)
                except (Lost, UserError) as reason:
                    if process is not None:
                        process.kill()
                    process = None
                    self._give_up(me, jobs[done:], reason, started)
        except BaseException as error:  # what goes wrong in a thread is raised where its verdicts are awaited
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            if process is not None:
                process.close()

    def _process(self, me: int, process: Process | None) -> Process:
        """The worker's process, or a new one where that is dead; `close` kills it while it is busy."""
        if process is None or not process.alive():
            if process is not None:
                process.kill()
            process = Process(self._packed)
        with self._changed:
            if self._closed:
                process.signal()
            self._busy[me] = process
        return process

    def _next(self, me: int) -> list[Job]:
        """The next jobs for this worker; none when it is to end. One that was tried before comes alone."""
        with self._changed:
            self._busy.pop(me, None)
            self._idle += 1
            while not self._closed:
                again = next((job for job in self._again if job.tried != me or self.workers == 1), None)
                if again:
                    self._again.remove(again)
                if again or self._waiting:
                    self._idle -= 1
                    return [again] if again else [self._waiting.popleft() for _ in range(self._portion())]
                self._changed.wait()
            return []

    def _portion(self) -> int:
        """How many jobs to give to a process at once: more than one only where they are quick and many."""
        quick = int(PORTION_S / self._pace) if self._pace else 1
        return max(1, min(PORTION, quick, len(self._waiting) // len(self._threads)))

    def _settle(self, me: int, jobs: Sequence[Job], replies: Sequence[Reply]) -> None:
        with self._changed:
            self._lost = self._away = 0
            for job, (verdict, seconds) in zip(jobs, replies, strict=True):
                self._pace = 0.9 * self._pace + 0.1 * seconds if self._pace else seconds
                if verdict.outcome == "unscorable" and job.tried is None:
                    self._again.append(replace(job, tried=me))
                    self._call(len(self._again), anew=True)
                else:
                    self._decide(job.key, (verdict, seconds))
            self._changed.notify_all()

    def _decide(self, key: str, reply: Reply) -> None:
        """Note a verdict for its response and for the same one under other keys. The lock is held."""
        for known in (key, *self._same.pop(key, ())):
            self._judged[known] = reply

    def _give_up(self, me: int, jobs: Sequence[Job], reason: Lost | UserError, started: bool) -> None:
        """The process was lost, or complained, on the first of these jobs if it had started; the others were not begun."""
        with self._changed:
            if isinstance(reason, UserError) and (jobs[0].tried is not None or not started):
                raise reason
            if isinstance(reason, Away):
                return self._give_back(jobs, reason, started)
            self._lost += 1
            if self._lost >= HOPELESS:
                raise UserError(
                    f"The verifier lost {HOPELESS} processes in a row without one verdict; the last: {reason}. It may need "
                    "more time than its deadline, or more memory than there is."
                )
            lost, *rest = jobs
            self._waiting.extendleft(reversed(rest))
            if not started:
                (self._waiting if lost.tried is None else self._again).appendleft(lost)
            elif lost.tried is None:
                self._again.append(replace(lost, tried=me))
            else:
                verdict = Verdict(
                    "unscorable", None, feedback=f"The verifier's process was lost: {reason}.", rule="verifier lost"
                )
                self._decide(lost.key, (verdict, 0.0))
            self._call(len(self._again) + len(self._waiting), anew=bool(self._again))
            self._changed.notify_all()

    def _give_back(self, jobs: Sequence[Job], reason: Away, started: bool) -> None:
        """A machine is gone: others have its jobs. The lock is held."""
        self._away += not started
        if self._away > HOPELESS + self.workers:
            raise UserError(
                f"workers_gone: no machine of --workers starts a process ({reason}). Start them, then resume the run."
            )
        for job in reversed(jobs):
            (self._waiting if job.tried is None else self._again).appendleft(job)
        self._call(len(self._again) + len(self._waiting), anew=bool(self._again))
        self._changed.notify_all()


def instant(verify: Verifier, task: Task) -> bool:
    """Whether this verdict takes microseconds, whatever the response: then a process would only cost time."""
    if verify is verifiers.verify:
        return task.verifier in verifiers.INSTANT
    return any(verify is verifiers.VERIFIERS[name] for name in verifiers.INSTANT)


def patience(task: Task) -> float:
    """Seconds that the task itself grants to a model's program: its time limit, for every case."""
    return float(task.data.get("time_limit_s", 5.0)) * len(task.data.get("tests", ())) if task.verifier == "code_io" else 0.0


def sees(verify: Callable[..., Any]) -> list[str]:
    """What of a rollout a verifier asks for by name."""
    asked = asked_for(verify)
    return [name for name in SEEN if name in asked]


def seen_of(rollout: Rollout, names: Sequence[str]) -> Seen:
    """That of this rollout."""
    if not names:
        return ()
    held = {"turns": rollout.turns, "ledger": rollout.spent}
    return tuple((name, held[name]) for name in names)


def judge(rollouts: Sequence[Rollout], groups: Sequence[int], verify: Callable[[Task, str], Verdict]) -> list[Sample]:
    """Verdicts for rollouts, made here and one after another; `judging.Judges` makes them in processes that can be killed."""
    names = sees(verify)
    return join(rollouts, groups, lambda r: boundary(seen_with(verify, seen_of(r, names)))(r.task, r.judged))


def join(rollouts: Sequence[Rollout], groups: Sequence[int], verdict: Callable[[Rollout], Verdict]) -> list[Sample]:
    """Rollouts with their verdicts. A rollout that failed on our side is unscorable, never wrong."""

    def of(rollout: Rollout) -> Verdict:
        if rollout.stop == "failed":
            return Verdict("unscorable", None, feedback=rollout.response, rule="rollout failed")
        if isinstance(rollout.by, Verdict):
            return rollout.by
        return verdict(rollout)

    return [Sample(rollout, of(rollout), group) for rollout, group in zip(rollouts, groups, strict=True)]
