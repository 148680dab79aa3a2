"""What a rollout asks for, what it gets, and the record of it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpen.core.tasks import Message, Task


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    temperature  0 is greedy, and then nothing below but `stop` matters
    top_k        only the k likeliest tokens; 0: all
    top_p        only the fewest likeliest tokens whose probabilities add up to p; 1: all
    min_p        only tokens at least min_p times as likely as the likeliest; 0: all
    stop         strings that end a response; the text ends before the first of them
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()

    @property
    def cuts(self) -> bool:
        """Whether tokens are left out."""
        return self.temperature > 0 and (self.top_k > 0 or self.top_p < 1 or self.min_p > 0)


PLAIN, GREEDY = Sampling(), Sampling(temperature=0.0)


@dataclass(frozen=True)
class Turn:
    """What a rollout gets back for an `Ask`: the text, and the exact tokens of the conversation so far.

    tokens    (T,) int32, the whole conversation, prompt first; never re-tokenised
    sampled   (T,) bool, true where the model (or a forced answer) wrote the token
    logprobs  (T,) float32, log-probability at sampling time under the sampling distribution; 0 where not sampled
    stop      "end" (end-of-turn token), "length" (ran out of tokens), "stop" (stop string) or "forced" (given answer)
    version   of the policy that wrote it
    """

    text: str
    tokens: np.ndarray
    sampled: np.ndarray
    logprobs: np.ndarray
    stop: str
    version: int = 0


@dataclass(frozen=True)
class Ask:
    """A request for one generation.

    messages  what is said now: the whole prompt, or, with `after`, only the new messages
    after     the turn this continues; its tokens are kept as they are
    answer    where given, nothing is sampled: this text becomes the model's turn (demonstrations, hints)
    """

    messages: tuple[Message, ...]
    after: Turn | None = None
    answer: str | None = None
    max_tokens: int | None = None
    sampling: Sampling | None = None


RolloutGenerator = Generator[Any, Any, Turn]  # yields Ask or [Ask, …]; is sent Turn or [Turn, …]; returns the last Turn


@dataclass(frozen=True)
class Rollout:
    """One finished attempt at one task. Arrays as in `Turn`."""

    task: Task
    tokens: np.ndarray
    sampled: np.ndarray
    logprobs: np.ndarray
    turns: tuple[str, ...]
    stop: str
    version: int
    seed: int
    id: str
    parent: str | None = None

    @property
    def response(self) -> str:
        return self.turns[-1] if self.turns else ""

    @property
    def n_sampled(self) -> int:
        return int(self.sampled.sum())
