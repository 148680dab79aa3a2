"""What comes of the events that are no generation: programs, environments, measurements.

A program runs in the sandbox, which ends it. An environment is the user's own code in this process: one that hangs is left
behind in its thread when its time is over, and costs its own rollout.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
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
    Ran,
    Rollout,
    Run,
    Sample,
    Score,
    Scored,
    Speaker,
    Task,
    UserError,
    Verdict,
)
from sharpen.data import make_batch
from sharpen.verify.code import Budget, Refused, build, execute

STATUS = {"exited": "ok", "signalled": "crash", "memory": "limit", "output": "limit", "refused": "malformed"}
SETTLE_S = 30.0  # for the sandbox, beyond what the program itself may take


def started(event: Any, work: Callable[[Any], Any]) -> Callable[[], Any]:
    """Begin in a thread; what is returned waits for the result until the event's deadline, and gives Failed after it."""
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    limit = event.seconds + (SETTLE_S if isinstance(event, Run) else 0.0)

    def thread() -> None:
        try:
            results.put(work(event))
        except UserError as error:  # about the run, such as a language that is not installed
            results.put(error)
        except Exception as error:  # of a user's environment, or of ours: it is raised in the generator that asked
            results.put(Failed(f"{type(event).__name__} raised {type(error).__name__}: {error}"))

    threading.Thread(target=thread, daemon=True).start()

    def finish() -> Any:
        try:
            found = results.get(timeout=limit)
        except queue.Empty:
            return Failed(f"{type(event).__name__} gave no answer within {limit:g} s")
        if isinstance(found, UserError):
            raise found
        return found

    return finish


def run(event: Run) -> Ran:
    """Run a program on its input. Raises UserError where the language or the sandbox is missing."""
    built = build(event.language, event.code)
    if isinstance(built, Refused):
        if built.outcome == "unscorable":
            raise Failed(f"the sandbox failed: {built.reason}")
        return Ran(built.outcome, "", short(built.reason, event.longest))
    (found,) = execute(built, [event.stdin.encode("utf-8", "replace")], Budget(event.seconds, event.memory_mb, event.seconds))
    stdout, stderr = (short(said.decode("utf-8", "replace"), event.longest) for said in (found.stdout, found.stderr))
    if found.status == "failed":
        raise Failed(f"the sandbox failed: {stderr}")
    ended = "crash" if found.status == "exited" and found.code else STATUS.get(found.status, found.status)
    return Ran(ended, stdout, stderr, found.seconds)


def act(event: Act) -> Observation:
    """One step of an environment, its words cut to what may come back."""
    seen = event.environment.step(event.action)
    if not isinstance(seen, Observation) or not isinstance(seen.text, str):
        raise TypeError(f"an environment's step returns an Observation with a text, and this one returned {seen!r:.200}")
    text = short(seen.text.encode("utf-8", "replace").decode(), event.longest)
    return Observation(text, bool(seen.done), {str(k): float(v) for k, v in seen.parts.items()})


def short(text: str, longest: int) -> str:
    """Beginning and end of a text that is too long, and between them how much was left out."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


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
