"""What a verifier decided, and what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from functools import cached_property

import numpy as np

from sharpen.core.rollouts import Rollout
from sharpen.core.tasks import Arm

ANSWERS = ("better", "unclear", "worse")
OUTCOMES = ("correct", "wrong", "malformed", "timeout", "limit", "crash", "unscorable")


@dataclass(frozen=True)
class Verdict:
    """What a verifier decided.

    outcome   one of OUTCOMES. `unscorable` is our fault, never the model's: it has no reward, and its rollout leaves the
              group before mean and standard deviation are taken
    reward    0 to 1, or None where unscorable
    parts     the reward's components by name
    feedback  words for a self-correcting model or a person
    rule      what decided, e.g. "exact", "integer"
    version   of the verifier: scores of different versions are not comparable
    isolation  level at which code of the response ran: "full", "reduced", "none"; "" where none ran
    credit    what each of the student's turns is worth by itself, where that was decided; (): the reward is all there is
    """

    outcome: str
    reward: float | None
    parts: Mapping[str, float] = field(default_factory=dict)
    feedback: str = ""
    rule: str = ""
    version: str = "1"
    isolation: str = ""
    credit: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome {self.outcome!r} is none of {', '.join(OUTCOMES)}")
        if (self.reward is None) != (self.outcome == "unscorable"):
            raise ValueError(f"an unscorable verdict has no reward, and every other has one: {self.outcome}, {self.reward}")

    @property
    def correct(self) -> bool:
        return self.outcome == "correct"


@dataclass(frozen=True)
class Sample:
    """A judged rollout, the group it belongs to (same task, same step) and its weight in the batch.

    inputs  (T,) tokens that the model reads when it learns from this sample, where they are others than the rollout's own,
            which stay what it has to predict; None: no others
    """

    rollout: Rollout
    verdict: Verdict
    group: int
    weight: float = 1.0
    inputs: np.ndarray | None = None


@dataclass(frozen=True)
class Tally:
    """How answers came out, each counted once, and in how many an answer could be read at all.

    wrong      read and not right; of programs also those that crashed, or used up their time or memory
    malformed  the model ended its turn, and no answer was found in what it said
    cut_off    not right, and out of tokens
    lost       unscorable: nobody's result, and none of the others
    readable   judged and not malformed, cut off or not. So right = readable / judged * correct / readable: a gain in the first
               factor is one in form, a gain in the second one in skill
    """

    correct: int = 0
    wrong: int = 0
    malformed: int = 0
    cut_off: int = 0
    lost: int = 0
    readable: int = 0

    @property
    def judged(self) -> int:
        return self.correct + self.wrong + self.malformed + self.cut_off

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def came_out(outcome: str, stop: str) -> str:
    """The part of a `Tally` that counts an answer, by the outcome of its verdict and the reason for which it ended."""
    if outcome == "correct":
        return "correct"
    if outcome == "unscorable":
        return "lost"
    return "cut_off" if stop == "length" else "malformed" if outcome == "malformed" else "wrong"


def tally(samples: Iterable[Sample]) -> Tally:
    """How these answers came out."""
    parts = dict.fromkeys(Tally.__dataclass_fields__, 0)
    for sample in samples:
        outcome = sample.verdict.outcome
        parts[came_out(outcome, sample.rollout.stop)] += 1
        parts["readable"] += outcome not in ("malformed", "unscorable")
    return Tally(**parts)


@dataclass(frozen=True)
class Evaluation:
    """Accuracy on a fixed stream: for each arm whether each of its tasks was solved, in order; None: it could not be judged.

    tallies  how the answers of each arm came out, where that is known
    """

    correct: Mapping[Arm, tuple[bool | None, ...]]
    tallies: Mapping[Arm, Tally] = field(default_factory=dict)

    @property
    def tally(self) -> Tally:
        """How the answers of all arms came out."""
        return sum(self.tallies.values(), Tally())

    @cached_property
    def counts(self) -> Mapping[Arm, tuple[int, int]]:
        """(solved, judged) of each arm that had a task judged."""
        judged = {arm: [c for c in solved if c is not None] for arm, solved in self.correct.items()}
        return {arm: (sum(map(bool, c)), len(c)) for arm, c in judged.items() if c}

    @property
    def n(self) -> int:
        """Tasks that were judged."""
        return sum(len(c) - c.count(None) for c in self.correct.values())

    @property
    def accuracy(self) -> float:
        """Mean over arms of the arm's accuracy, so that arms with more tasks do not count more. 0 without judged tasks."""
        judged = [[c for c in solved if c is not None] for solved in self.correct.values()]
        arms = [sum(c) / len(c) for c in judged if c]
        return sum(arms) / len(arms) if arms else 0.0


@dataclass(frozen=True)
class Decision:
    """What the guard says of a round, and the numbers that decided.

    answer  "better": the round's weights are the accepted ones from now on, and what is exported; "unclear": there is no
            evidence either way, so the run goes on from them, and the accepted ones stay what they were; "worse": the run
            goes back to the accepted ones, and with them to before the unclear rounds that came after
    """

    answer: str
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.answer not in ANSWERS:
            raise ValueError(f"answer {self.answer!r} is none of {', '.join(ANSWERS)}")

    @property
    def accepted(self) -> bool:
        return self.answer == "better"
