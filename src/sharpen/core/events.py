"""What a generator may yield, and what it is sent for it. Rollouts, verdicts that need a model and growth are such generators.

1. A generator yields one event, or a list of them that happen side by side, and is sent the answer, or the list of answers in
   the same order: Ask -> Turn, Run -> Ran, Act -> Observation, Measure -> Measured.
2. It does no I/O itself, so three `send`s test it without a model.
3. Every event has a deadline. One that fails on our side is raised in the generator as `Failed`; a generator that does not
   catch it becomes a failed rollout, an unscorable verdict or an empty growth, and costs only itself.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sharpen.core.rollouts import Sampling, Turn
from sharpen.core.tasks import Message
from sharpen.core.verdicts import Verdict

LONGEST = 2000  # characters of a tool's or an environment's words that come back; the middle is left out


@dataclass(frozen=True)
class Ask:
    """A request for one generation.

    messages  what is said now: the whole prompt, or, with `after`, only the new messages
    after     the turn this continues; its tokens are kept as they are. It has to be one of the same role's
    answer    where given, nothing is sampled: this text becomes the model's turn (demonstrations, hints)
    insert    with `after` and no messages: this text is put into the model's own turn, as context, and the turn goes on
    stop      strings that end this turn, beside those of the run
    role      who is asked; "": the student
    tools     functions that the model may call, as OpenAI writes them: {"type": "function", "function": {…}}
    may_fail  where nobody answers, `Failed` is sent, not raised: so one of many that are asked side by side costs only itself
    """

    messages: tuple[Message, ...]
    after: Turn | None = None
    answer: str | None = None
    max_tokens: int | None = None
    sampling: Sampling | None = None
    insert: str = ""
    stop: tuple[str, ...] = ()
    role: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    may_fail: bool = False


@dataclass(frozen=True)
class Run:
    """A program to be run in the sandbox. `seconds` and `memory_mb` are its limits, `longest` that of each of its outputs."""

    code: str
    language: str = "python"
    stdin: str = ""
    seconds: float = 5.0
    memory_mb: int = 512
    longest: int = LONGEST


@dataclass(frozen=True)
class Ran:
    """How a program ended. status: "ok", "crash", "timeout", "limit" or "malformed" (it is no program).

    seconds  that it took, its interpreter's start included, measured outside the sandbox
    """

    status: str
    stdout: str
    stderr: str
    seconds: float = 0.0


class Environment(Protocol):
    """Something that is acted on. It belongs to one rollout, which made it, and holds that rollout's state."""

    def step(self, action: str) -> Observation:
        """What comes of an action. An action that makes no sense is an observation too, not an error."""


@dataclass(frozen=True)
class Act:
    """An action on an environment, which has that many seconds."""

    environment: Environment
    action: str
    seconds: float = 30.0
    longest: int = LONGEST


@dataclass(frozen=True)
class Observation:
    """What an environment shows. `parts` are the reward's components, by name, as far as it decides them."""

    text: str
    done: bool = False
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """A request for the log-probabilities of a given answer after messages, under the student or a role; nothing is sampled."""

    messages: tuple[Message, ...]
    answer: str
    role: str = ""


@dataclass(frozen=True)
class Measured:
    """(n,) each, of the answer's tokens and the mark that ends its turn: log-probabilities, and entropies in nats."""

    logprobs: np.ndarray
    entropies: np.ndarray


class Failed(Exception):
    """An event failed on our side: what was asked for, and why nothing came."""


Event = Ask | Run | Act | Measure
# A rollout returns the turn that is judged, last of all that are learnt from.
RolloutGenerator = Generator[Any, Any, Turn | tuple[Turn, ...]]
VerdictGenerator = Generator[Any, Any, Verdict]
GrowthGenerator = Generator[Any, Any, list[Any]]  # of Task, and what else growth.py names
