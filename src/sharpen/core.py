"""The nouns of sharpen. Read this file first.

1. A `TaskSource` draws `Task`s; an `Arm` (family, level) is what a curriculum chooses between.
2. A rollout is a generator: it yields `Ask`s, is sent `Turn`s, and returns its last `Turn`; the record is a `Rollout`.
3. A verifier turns (task, response) into a `Verdict`; rollout and verdict together are a `Sample`.
4. Samples become a `Batch` of arrays; a `Tableau` turns a batch into coefficients on log-probabilities.
5. A `Policy` (protocol.py) is a model that can be asked, scored, trained and saved.
6. A `Recipe` (recipe.py) holds eight functions and a few numbers: that is a whole method.

Everything here is frozen data: no I/O, and no torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from sharpen.hashing import digest

Message = Mapping[str, Any]  # {"role": …, "content": text or a list of parts}

SPLITS = ("train", "validation", "test")
HISTORY = 64  # entries of an arm's history that a curriculum sees, so that a decision costs O(arms), not O(history)
OUTCOMES = ("correct", "wrong", "malformed", "timeout", "limit", "crash", "unscorable")


class UserError(Exception):
    """A mistake that the user can mend: what, why and the cure. The command line prints it and exits 2."""


class FatalDiagnosis(Exception):
    """The doctor stopped the run: what he found, the evidence, the cure. The command line exits 3."""


class NotFinite(ValueError):
    """A number that a step needs is NaN or infinite; nothing has changed yet. `rows` of the batch hold it, () if unknown."""

    def __init__(self, message: str, rows: Sequence[int] = ()):
        super().__init__(message)
        self.rows = tuple(int(row) for row in rows)


def suggest(name: str, known: Iterable[str]) -> str:
    """' Did you mean …?' for the closest known name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


@dataclass(frozen=True, order=True)
class Arm:
    """What a curriculum chooses between: one level of one family."""

    family: str
    level: int

    def __str__(self) -> str:
        return f"{self.family}/{self.level}"

    @staticmethod
    def parse(text: str) -> Arm:
        family, _, level = text.rpartition("/")
        return Arm(family, int(level))


@dataclass(frozen=True)
class Task:
    """One problem.

    prompt    chat messages
    answer    the gold answer, or None where the verifier needs none
    verifier  name of the function in verify/verdicts.py that judges it (see `verify.VERIFIERS`)
    data      JSON: whatever else the verifier needs
    solution  a worked solution, where a writer exists; used for warm-up and SFT only
    parents   ids of the tasks this one was made from
    """

    prompt: tuple[Message, ...]
    answer: str | None
    family: str
    level: int
    split: str = "train"
    verifier: str = "exact"
    data: Mapping[str, Any] = field(default_factory=dict)
    solution: str | None = None
    parents: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """Hash of what is asked and how it is judged; two tasks with the same id are the same problem."""
        return digest([list(self.prompt), self.answer, self.family, self.level, self.verifier, dict(self.data)])

    @cached_property
    def arm(self) -> Arm:
        return Arm(self.family, self.level)

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True)
class TaskSource:
    """Where tasks come from: a pure function of (arm, split, index, seed), or a finite list behind the same function.

    arms   every arm that can be drawn, sorted
    draw   (arm, split, index, seed) -> Task. The same arguments give the same task. Raises UserError where the arm holds
           no task of that split.
    size   (arm, split) -> how many tasks there are, or None where there is no end
    """

    name: str
    arms: tuple[Arm, ...]
    draw: Callable[[Arm, str, int, int], Task]
    size: Callable[[Arm, str], int | None] = lambda arm, split: None


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


Choices = list[tuple[Arm | Task, int]]  # what a curriculum returns: for each prompt an arm or a task, and how many rollouts
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
    """

    outcome: str
    reward: float | None
    parts: Mapping[str, float] = field(default_factory=dict)
    feedback: str = ""
    rule: str = ""
    version: str = "1"
    isolation: str = ""

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
class Batch:
    """Samples as arrays, rows padded on the right.

    tokens     (B, T) int64
    mask       (B, T) float32, 1 where a token is trained; column 0 is never trained
    sampling   (B, T) float32, log-probabilities at sampling time, 0 where untrained
    reward     (B,) float32
    group      (B,) int64, rows of one group share a number
    weight     (B,) float32
    lengths    (B,) int64, tokens in each row
    drawn      how the tokens were drawn; the trainer takes its log-probabilities under the same distribution

    Where there is something to say, else None:
    version    (B,) int64, version of the policy that wrote each row; None: the one that is trained
    forced     (B,) bool, rows that were put into the policy's mouth, such as worked solutions; None: no row
    inputs     (B, T) int64, what the model reads instead of `tokens`; these stay what it has to predict
    values     (B, T) float32, what the value head expected before each trained token, before the step
    before     (B, T) float32, log-probabilities under the policy before the step
    """

    tokens: np.ndarray
    mask: np.ndarray
    sampling: np.ndarray
    reward: np.ndarray
    group: np.ndarray
    weight: np.ndarray
    lengths: np.ndarray
    drawn: Sampling = PLAIN
    version: np.ndarray | None = None
    forced: np.ndarray | None = None
    inputs: np.ndarray | None = None
    values: np.ndarray | None = None
    before: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.reward)

    def take(self, rows: np.ndarray) -> Batch:
        """These rows (numbers, or a bool for each) as a batch of their own."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{name: a[rows] if isinstance(a, np.ndarray) else a for name, a in arrays.items()})


@dataclass(frozen=True)
class Tableau:
    """A training objective as exchangeable parts; objectives/tableau.py computes with them.

    The trainer minimises -(c.detach() * logp).sum() plus the penalty, with coefficients
    c[b, t] = (advantage * clip * ratio + extra)[b, t] * normaliser[b] * weight[b] * mask[b, t].

    advantage   Batch -> (B,) float array, or (B, T) where tokens differ
    normaliser  Batch -> (B,) float array: 1 / tokens, 1 / (rows * tokens in the row), …
    ratio       (tableau.Rows) -> (R, T): likelihood ratio to the behaviour policy; all ones makes REINFORCE and SFT
    clip        (tableau.Rows, ratio) -> (R, T): 0 where the trust region stops the gradient, else 1
    extra       (tableau.Rows) -> (R, T): added to advantage * clip * ratio, such as the gradient of a KL estimate. It acts on
                silent groups too
    penalty     (logits (M, V), logits of the reference (M, V) or None, tokens (M,)) -> (M,): a differentiable term for each
                trained token that no coefficient of its log-probability can express; added to the loss
    penalty_weight  (tableau.Rows) -> (R, T): factor of each token's penalty; None: 1
    reference   whose log-probabilities (and logits, for the penalty) are the reference: "" none, "start" the student when the
                loop began, "accepted" the last round that was kept, "teacher" the recipe's teacher
    entropy     whether ratio, clip or extra read the entropy of the next-token distributions
    together    whether they compare the rows of a group, which then go through one pass
    before      whether they read the log-probabilities of the policy before the step (`Rows.before`)
    returns     Batch -> (B, T) float array, what a value head learns to expect before each token, and then the batch has
                `values`, which the advantage may read; None: there is no value head
    """

    advantage: Callable[[Batch], np.ndarray]
    normaliser: Callable[[Batch], np.ndarray]
    ratio: Callable[[Any], Any]
    clip: Callable[[Any, Any], Any]
    extra: Callable[[Any], Any] | None = None
    penalty: Callable[[Any, Any, Any], Any] | None = None
    penalty_weight: Callable[[Any], Any] | None = None
    reference: str = ""
    entropy: bool = False
    together: bool = False
    before: bool = False
    returns: Callable[[Batch], np.ndarray] | None = None


@dataclass(frozen=True)
class ArmStats:
    """What a curriculum may know of one arm at one step: sums over the rollouts of that step."""

    step: int
    arm: Arm
    n: int  # scored rollouts
    successes: int
    abs_advantage: float  # sum of |advantage| over the rollouts
    tokens: int


@dataclass(frozen=True)
class Evaluation:
    """Accuracy on a fixed stream: for each arm whether each of its tasks was solved, in order; None: it could not be judged."""

    correct: Mapping[Arm, tuple[bool | None, ...]]

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
    """What the guard did with a round, and the numbers that decided."""

    accepted: bool
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
