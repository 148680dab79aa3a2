"""What a generator may yield, and what it is sent for it. Rollouts, verdicts that need a model and growth are such generators.

1. A generator yields one event, or a list of them that happen side by side, and is sent the answer, or the list of answers in
   the same order: Ask -> Turn (here), Run -> Ran (programs.py), Act -> Observation (environments.py), Measure -> Measured,
   Score -> Scored and Check -> Verdict (measures.py).
2. It does no I/O itself, so three `send`s test it without a model.
3. Every event has a deadline. One that fails on our side is raised in the generator as `Failed`; a generator that does not
   catch it becomes a failed rollout, an unscorable verdict or an empty growth, and costs only itself.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from sharpen.core.environments import Act, Ended
from sharpen.core.hooks import Hook
from sharpen.core.measures import Check, Measure, Score
from sharpen.core.programs import Run
from sharpen.core.rollouts import Sampling, Searched, Turn
from sharpen.core.study import Study
from sharpen.core.tasks import Message
from sharpen.core.verdicts import Verdict


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


class Failed(Exception):
    """An event failed on our side: what was asked for, and why nothing came."""


Event = Ask | Run | Act | Measure | Score | Check
# A rollout returns the turn that is judged, last of all that are learnt from.
RolloutGenerator = Generator[Any, Any, Turn | tuple[Turn, ...] | Searched | Ended]
VerdictGenerator = Generator[Any, Any, Verdict]
GrowthGenerator = Generator[Any, Any, list[Any]]  # of Task, and what else growth.py names
