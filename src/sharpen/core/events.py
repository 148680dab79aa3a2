"""What a generator may yield, and what it is sent for it. Rollouts, verdicts that need a model and growth are such generators.

1. A generator yields one event, or a list of them that happen side by side, and is sent the answer, or the list of answers in
   the same order: Ask -> Turn, Run -> Ran, Act -> Observation, Measure -> Measured, Score -> Scored, Check -> Verdict.
2. It does no I/O itself, so three `send`s test it without a model.
3. Every event has a deadline. One that fails on our side is raised in the generator as `Failed`; a generator that does not
   catch it becomes a failed rollout, an unscorable verdict or an empty growth, and costs only itself.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sharpen.core.environments import LONGEST, Act
from sharpen.core.hooks import Hook
from sharpen.core.rollouts import Sampling, Searched, Turn
from sharpen.core.tasks import Message, Task
from sharpen.core.verdicts import Verdict


@dataclass(frozen=True)
class Study:
    """What a model reads into an adapter before it answers: test-time learning. Its weights are what they were, afterwards.

    texts     cut into segments of `segment` tokens, which are one batch: their order says nothing
    examples  (messages, answer): of these the answer alone is learnt
    steps     of AdamW, at rate `lr`, on the mean loss of all tokens
    rank      of the adapter, which lies beside the products that close attention and MLP
    """

    texts: tuple[str, ...] = ()
    examples: tuple[tuple[tuple[Message, ...], str], ...] = ()
    steps: int = 4
    lr: float = 1e-3
    rank: int = 8
    segment: int = 128


@dataclass(frozen=True)
class Ask:
    """A request for one generation.

    messages  what is said now: the whole prompt, or, with `after`, only the new messages
    after     the turn this continues; its tokens are kept as they are. It has to be one of the same role's
    answer    where given, nothing is sampled: this text becomes the model's turn (demonstrations, hints)
    insert    with `after` and no messages: this text is put into the model's own turn, as context, and the turn goes on.
              Without a text and a cut it goes on with the random numbers that come next: as if it had never been interrupted
    stop      strings that end this turn, beside those of the run
    role      who is asked; "": the student
    cut       with `after` and no messages: only so many tokens of the conversation are kept, and the turn goes on from there,
              otherwise: a fork. ValueError for one outside of the turn
    hook      changes what each token is drawn from (core/hooks.py)
    study     read into weights that are put back when the turn is answered
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
    cut: int | None = None
    hook: Hook | None = None
    study: Study | None = None

    def __post_init__(self) -> None:
        if self.cut is None:
            return
        if self.after is None or not self.goes_on:
            raise ValueError("only a turn that goes on can be cut: with `after`, and without messages and answer")
        if not self.after.begin <= self.cut <= len(self.after.tokens):
            raise ValueError(f"a turn of tokens {self.after.begin} to {len(self.after.tokens)} cannot be cut at {self.cut}")

    @property
    def goes_on(self) -> bool:
        """Whether this continues the model's own turn."""
        return self.after is not None and not self.messages and self.answer is None


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
    seconds: float = field(default=0.0, compare=False)  # no two runs take as long


@dataclass(frozen=True)
class Ended:
    """What a rollout may return instead of its turns alone: with them what an environment says of the episode.

    by  its verdict; or its last state, a text that the verifier judges in the place of the last turn
    """

    turns: Turn | tuple[Turn, ...]
    by: Verdict | str


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


class Failed(Exception):
    """An event failed on our side: what was asked for, and why nothing came."""


Event = Ask | Run | Act | Measure | Score | Check
# A rollout returns the turn that is judged, last of all that are learnt from.
RolloutGenerator = Generator[Any, Any, Turn | tuple[Turn, ...] | Searched | Ended]
VerdictGenerator = Generator[Any, Any, Verdict]
GrowthGenerator = Generator[Any, Any, list[Any]]  # of Task, and what else growth.py names
