"""Tasks, arms and where tasks come from; what a curriculum knows and says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sharpen.core.errors import UserError
from sharpen.hashing import digest

Message = Mapping[str, Any]  # {"role": …, "content": text or a list of parts}


SPLITS = ("train", "validation", "test")


HISTORY = 64  # entries of an arm's history that a curriculum sees, so that a decision costs O(arms), not O(history)


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
    operator  what made it of them, such as "between chain_sum/3 and chain_sum/4"; "" for a task that the source drew
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
    operator: str = ""

    @cached_property
    def id(self) -> str:
        """Hash of what is asked and how it is judged; two tasks with the same id are the same problem."""
        return digest([list(self.prompt), self.answer, self.family, self.level, self.verifier, dict(self.data)])

    @cached_property
    def arm(self) -> Arm:
        return Arm(self.family, self.level)

    def __hash__(self) -> int:
        return hash(self.id)


def flat(message: Message) -> dict[str, Any]:
    """The message, its content text: parts of text are joined. Raises UserError for any other part, such as an image."""
    content = message["content"]
    if not isinstance(content, list):
        return dict(message)
    for part in content:
        if not isinstance(part, str) and not (isinstance(part, Mapping) and isinstance(part.get("text"), str)):
            kind = part.get("type") if isinstance(part, Mapping) else part
            raise UserError(f"a message holds a part of the kind {kind!r}, and only text can be asked. Leave such tasks out.")
    return {**message, "content": "".join(part if isinstance(part, str) else part["text"] for part in content)}


@dataclass(frozen=True)
class TaskSource:
    """Where tasks come from: a pure function of (arm, split, index, seed), or a finite list behind the same function.

    arms   every arm that can be drawn, sorted
    draw   (arm, split, index, seed) -> Task. The same arguments give the same task. Raises UserError where the arm holds
           no task of that split.
    size   (arm, split) -> how many tasks there are, or None where there is no end
    notes  what a person should know of it before a run starts, a sentence each
    languages  of the programs that are run to judge its tasks; None where nobody has looked
    """

    name: str
    arms: tuple[Arm, ...]
    draw: Callable[[Arm, str, int, int], Task]
    size: Callable[[Arm, str], int | None] = lambda arm, split: None
    notes: tuple[str, ...] = ()
    languages: frozenset[str] | None = None


@dataclass(frozen=True)
class ArmStats:
    """What a curriculum may know of one arm at one step: sums over the rollouts of that step."""

    step: int
    arm: Arm
    n: int  # scored rollouts
    successes: int
    abs_advantage: float  # sum of |advantage| over the rollouts
    tokens: int


Choices = list[tuple[Arm | Task, int]]  # what a curriculum returns: for each prompt an arm or a task, and how many rollouts
