"""Rollouts played by scripts, for the checks of recipes: milliseconds, and no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sharpen.core import PLAIN, Message, Rollout, Sample, Task, Verdict

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1)


ROLES = ("value", "judge", "retriever", "expert", "base", "writer", "closed_book", "weak", "teacher", "pupil")


def played(
    rollout: Callable[..., Any], *said: str, role: Callable[[Sequence[Message]], str] | None = None, **task: Any
) -> Rollout:
    """The rollout of a task in which the student says these words in turn, the last again and again; whoever else is asked says
    what `role` makes of the messages."""
    from sharpen.models import ScriptedPolicy
    from sharpen.rollouts import drive

    left = list(said)
    student = ScriptedPolicy(lambda messages: left.pop(0) if len(left) > 1 else left[0])
    roles = {} if role is None else dict.fromkeys(ROLES, ScriptedPolicy(role))
    how: dict[str, Any] = dict(seed=0, max_tokens=400, sampling=PLAIN, roles=roles)
    return drive(student, rollout, [replace(TASK, **task)], ["check"], **how)[0]


def settings(function: Callable[..., Any]) -> Any:
    """What a partial in a slot sets, by name."""
    return getattr(function, "keywords", {})


def answers(*said: tuple[str, float], tokens: Sequence[int] = (), group: int = 0) -> list[Sample]:
    """A group of answers with their rewards, 1 being right, of so many tokens each."""
    import numpy as np

    found = []
    for i, (text, reward) in enumerate(said):
        n = tokens[i] if tokens else 3
        on = np.arange(n + 1) > 0
        made = Rollout(TASK, np.arange(n + 1, dtype=np.int32), on, -on.astype(np.float32), (text,), "end", 0, i, f"{group}.{i}")
        found.append(Sample(made, Verdict("correct" if reward == 1 else "wrong", reward), group))
    return found


def as_forced(sample: Sample) -> Sample:
    """The same answer, as somebody else's that the student was made to say."""
    told = replace(sample.rollout, stop="forced", logprobs=0 * sample.rollout.logprobs, id=f"{sample.rollout.id}.told")
    return replace(sample, rollout=told)


def asked_again(samples: Sequence[Sample], question: str, solution: str) -> list[Sample]:
    """The same answers to another task, which has a worked solution."""
    task = replace(TASK, prompt=({"role": "user", "content": question},), solution=solution)
    return [replace(s, rollout=replace(s.rollout, task=task)) for s in samples]
