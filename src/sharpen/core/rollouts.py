"""How tokens are drawn, what a model said, and the record of a finished attempt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sharpen.core.ledger import Ledger
from sharpen.core.tasks import Task

if TYPE_CHECKING:
    from sharpen.core.verdicts import Verdict


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
class Span:
    """Who wrote tokens[start:stop] of a conversation. What no span covers is context: prompts, the template's marks, and what
    tools and environments said. Context carries no loss.

    author   "" the student, else the name of a role
    version  of the policy that wrote it
    turn     number of the author's turn within the rollout, from 0
    forced   whether it was given to the author to say
    """

    start: int
    stop: int
    author: str = ""
    version: int = 0
    turn: int = 0
    forced: bool = False


@dataclass(frozen=True)
class Turn:
    """What a rollout gets back for an `Ask`: the text, and the exact tokens of the conversation so far.

    tokens    (T,) int32, the whole conversation, prompt first; never re-tokenised
    sampled   (T,) bool, true where the model (or a forced answer) wrote the token
    logprobs  (T,) float32, log-probability at sampling time under the sampling distribution; 0 where not sampled
    stop      "end" (end-of-turn token), "length" (ran out of tokens), "stop" (stop string), "forced" (given answer) or
              "failed" (nobody answered; the text says why)
    version   of the policy that wrote it
    spans     who wrote which tokens, in order; the driver of rollouts fills them in
    begin     tokens before the turn; where it was continued (`Ask.insert`), before its first part
    whole     the text of the turn from there on, with what was inserted and what it was stopped at; "": `text` is all of it
    drawn     (seed, how many random numbers of it are used): where the turn would go on
    """

    text: str
    tokens: np.ndarray
    sampled: np.ndarray
    logprobs: np.ndarray
    stop: str
    version: int = 0
    spans: tuple[Span, ...] = ()
    begin: int = 0
    whole: str = ""
    drawn: tuple[int, int] = (0, 0)

    @property
    def all_text(self) -> str:
        """The text of the whole turn, where it was continued too."""
        return self.whole or self.text

    @property
    def author(self) -> str:
        """Who spoke last: "" the student, else the name of a role."""
        return self.spans[-1].author if self.spans else ""


@dataclass(frozen=True)
class Branch:
    """A step that a search tried, and what it came to think of it.

    turn    the conversation up to the end of the step
    start   token at which the step begins
    parent  number of the branch that it continues, among those of its rollout; -1: it is a first step
    value   mean of what was backed up to it
    visits  how often that was
    """

    turn: Turn
    start: int
    parent: int
    value: float
    visits: int


@dataclass(frozen=True)
class Searched:
    """What a rollout that searched may return in place of a turn: the one that it chose, and all that it tried."""

    turn: Turn
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True)
class Rollout:
    """One finished attempt at one task. Arrays as in `Turn`.

    turns   what the student said, in order
    spans   who wrote which tokens
    spent   what it cost, searches and roles included
    branches  what a search tried; the store does not keep them
    others  further conversations of the attempt: the student's that are learnt from beside this one (what compaction or a
            sub-agent broke apart), and each that a role had. The verdict is on all of them
    by      what an environment said of the episode (`core.Ended`); None: the response is judged
    """

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
    spans: tuple[Span, ...] = ()
    others: tuple[Turn, ...] = ()
    spent: Ledger = Ledger()
    branches: tuple[Branch, ...] = ()
    by: Verdict | str | None = None

    @property
    def response(self) -> str:
        return self.turns[-1] if self.turns else ""

    @property
    def judged(self) -> str:
        """What a verifier is given: the last state of an environment that does not judge by itself, or what was said last."""
        return self.by if isinstance(self.by, str) else self.response

    @cached_property
    def n_sampled(self) -> int:
        return int(np.count_nonzero(self.sampled))
