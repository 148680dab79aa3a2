"""What can be asked of an answer that is there already: how likely it is, what it is worth, whether it is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharpen.core.rollouts import Turn
from sharpen.core.tasks import Message, Task


@dataclass(frozen=True)
class Measure:
    """A request for the log-probabilities of a given answer after messages, under the student or a role; nothing is sampled."""

    messages: tuple[Message, ...]
    answer: str
    role: str = ""
    turn: Turn | None = None  # where given, its own sampled tokens are measured, and nothing is tokenised again


@dataclass(frozen=True)
class Measured:
    """(n,) each, of the answer's tokens and the mark that ends its turn, or of a turn's sampled tokens: log-probabilities, and
    entropies in nats."""

    logprobs: np.ndarray
    entropies: np.ndarray


@dataclass(frozen=True)
class Score:
    """A request for what a reward model says of an answer to messages: one number after each of the answer's steps.

    steps  the answer in pieces, which joined are the whole of it; one piece is an outcome to be scored
    """

    messages: tuple[Message, ...]
    steps: tuple[str, ...]
    role: str


@dataclass(frozen=True)
class Scored:
    """(n,) float32, a number for each step, on no scale of its own: `sigmoid` of it is a probability where it was so taught."""

    values: np.ndarray


@dataclass(frozen=True)
class Check:
    """A request for the verdict of the task's own verifier, made as any other is: in a process that can be killed.

    What it decides is what a learnt reward is held against, and taught by. It knows the right answer: a search
    that asks for it on tasks that it is measured with is an upper bound, and says so.
    """

    task: Task
    response: str
