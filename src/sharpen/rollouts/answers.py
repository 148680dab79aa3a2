"""What comes of the events that are no generation: programs, environments, measurements.

A program runs in the sandbox, which ends it. An environment is the user's own code in this process: one that hangs is left
behind in its thread when its time is over, and costs its own rollout.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpen.core import (
    GREEDY,
    Act,
    Ask,
    Failed,
    Measure,
    Measured,
    Observation,
    Rollout,
    Run,
    Sample,
    Score,
    Scored,
    Speaker,
    Task,
    UserError,
    Verdict,
    shortened,
)
from sharpen.data import make_batch
from sharpen.rollouts.programs import SETTLE_S, run

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-_])?")  # of terminals
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
STRAGGLE_S, STRAGGLES = 0.1, 0.1  # that the last tenth may take longer than the rest: seconds, and a share of the rest's time


@dataclass(frozen=True)
class Pending:
    """Something that was begun: its future, and the time.monotonic() at which it is too late."""

    event: Any
    future: Future[Any]
    until: float
    limit: float  # seconds that it had

    @property
    def over(self) -> bool:
        return self.future.done() or self.until <= time.monotonic()

    def result(self) -> Any:
        """What came of it by now; Failed where nothing has, or it raised. UserError where it is about the run."""
        name = type(self.event).__name__
        if not self.future.done():
            return Failed(f"{name} gave no answer within {self.limit:g} s")
        error = self.future.exception()
        if error is None:
            try:
                found = self.future.result()
                return tidied(found, self.event) if isinstance(self.event, Act) else found
            except (TypeError, ValueError, AttributeError) as garbage:
                error = garbage
        if isinstance(error, UserError):  # about the run, such as a language that is not installed
            raise error
        return error if isinstance(error, Failed) else Failed(f"{name} raised {type(error).__name__}: {error}")


def started(event: Any) -> Pending:
    """Begin a program or an action: elsewhere, where the environment can, or in a thread that is left behind when it hangs."""
    limit = event.seconds + (SETTLE_S if isinstance(event, Run) else 0.0)
    until = time.monotonic() + limit
    if isinstance(event, Act) and hasattr(event.environment, "begin"):
        environment: Any = event.environment
        begun = environment.begin(event)
        if hasattr(environment, "patience"):  # it keeps the deadline itself, from when it is its turn
            until = time.monotonic() + environment.patience(event)
        return Pending(event, begun, until, limit)
    future: Future[Any] = Future()

    def thread() -> None:
        try:
            future.set_result(run(event) if isinstance(event, Run) else getattr(event.environment, event.kind)(event.action))
        except Exception as error:  # of a user's environment, or of ours: it is raised in the generator that asked
            future.set_exception(error)

    threading.Thread(target=thread, daemon=True).start()
    return Pending(event, future, until, limit)


def awaited(pending: Sequence[Pending], others: int) -> None:
    """Wait until all have come, or their time is over. Not for the last tenth, of these and `others` that need not be waited
    for, once they take a tenth longer than the rest: one that hangs would hold up all of them, in each round another one. Who
    comes later is waited for no less, and goes on with the others' next turn; a result does not depend on it."""
    began = time.monotonic()
    most = math.ceil(0.9 * (len(pending) + others)) - others
    while waiting := [p for p in pending if not p.over]:
        until = max(p.until for p in waiting)
        if len(pending) - len(waiting) >= most:
            until = min(until, time.monotonic() + max(STRAGGLE_S, STRAGGLES * (time.monotonic() - began)))
            wait([p.future for p in waiting], max(0.0, until - time.monotonic()))
            return
        wait([p.future for p in waiting], max(0.0, until - time.monotonic()), return_when=FIRST_COMPLETED)


def first(pending: Collection[Pending]) -> None:
    """Wait until one has come, or its time is over."""
    if pending and not any(p.over for p in pending):
        until = min(p.until for p in pending)
        wait([p.future for p in pending], max(0.0, until - time.monotonic()), return_when=FIRST_COMPLETED)


def act(event: Act) -> Observation:
    """One step of an environment, its words cut to what may come back."""
    return tidied(getattr(event.environment, event.kind)(event.action), event)


def tidied(seen: Any, event: Act) -> Observation:
    """What an environment returned, as text that can be shown: cut, whole characters, nothing that steers a terminal."""
    if not isinstance(seen, Observation) or not isinstance(seen.text, str):
        raise TypeError(f"an environment's step returns an Observation with a text, and this one returned {seen!r:.200}")
    text = shortened(seen.text.encode("utf-8", "replace").decode(), event.longest)
    text = CONTROL.sub("", ESCAPE.sub("", text))
    return Observation(text, bool(seen.done), {str(k): float(v) for k, v in seen.parts.items()}, seen.verdict)


def measure(policy: Speaker, wanted: Sequence[Measure]) -> list[Measured]:
    """Log-probabilities and entropies of given answers, in one batch."""
    if not hasattr(policy, "entropies"):
        raise UserError("a Measure asks for log-probabilities, and who is asked gives words only. Take a model's directory.")
    given = [event for event in wanted if event.turn is None]
    made = iter(policy.respond([Ask(e.messages, answer=e.answer) for e in given], [0] * len(given), 0, GREEDY) if given else ())
    turns = [event.turn or next(made) for event in wanted]
    nobody = Task((), None, "", 0)
    said = [Rollout(nobody, t.tokens, t.sampled, t.logprobs, (t.text,), t.stop, t.version, 0, "") for t in turns]
    batch = make_batch([Sample(rollout, Verdict("correct", 1.0), i) for i, rollout in enumerate(said)])
    logprobs, entropies = policy.entropies(batch)
    on = batch.mask > 0
    return [Measured(np.array(logprobs[i][on[i]]), np.array(entropies[i][on[i]])) for i in range(len(turns))]


def score(policy: Any, wanted: Sequence[Score]) -> list[Scored | Failed]:
    """What a reward model says of given answers, in one batch. A score that is not finite is nobody's."""
    if not hasattr(policy, "score"):
        raise UserError("a Score asks for a reward model, and who is asked gives words. The role has to say gives='scores'.")
    return [
        found if np.isfinite(found.values).all() else Failed("the reward model's score is not finite")
        for found in policy.score(wanted)
    ]
