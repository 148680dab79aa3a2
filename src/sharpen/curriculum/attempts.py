"""What is known of each single task: dense arrays, 32 bytes a task, for curricula that choose tasks rather than arms.

The *pool* is every training task of a finite arm and the first `pool` tasks of an endless one, numbered through, arm by arm;
what has grown since (`extend`) follows, round by round. The numbering follows from the source, the run's seed and the grown
tasks, so the arrays are a function of the rows of `task_stats` and `grown` alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sharpen.core import Arm, Sample, Task, TaskSource, UserError

NEVER = -1
REMEMBERED = 32_768  # tasks of which something worked out is kept
FADE = 0.9  # of a task's counts each time that it is tried again: the model was another one then

TaskRow = tuple[int, int, int, int]  # step, number of the task, scored rollouts, successes


@dataclass
class Attempts:
    """The pool and what was tried of it. Arrays have one entry for each task of the pool, (N,).

    visits    uint32, steps that tried the task
    tries     uint32, scored rollouts so far
    right     uint32, successes among them
    faded     (2, N) float32, scored rollouts and successes again, those of each earlier step counting FADE times as much
    first     float32, success rate of the first step that tried the task, NaN before: by a model that had not met it
    latest    float32, success rate of the last step that tried it, NaN before
    seen      int32, the last step that tried it, NEVER before
    newest    the newest step, and `recent` the numbers of the tasks that it tried
    taken     (step, task) pairs so far: with one group for each task, how many prompts were used
    """

    source: TaskSource
    seed: int
    endless: int
    blocks: list[tuple[Arm, int, int]] = field(init=False)  # numbered one after another: arm, index of its first task, tasks
    visits: np.ndarray = field(init=False)
    tries: np.ndarray = field(init=False)
    right: np.ndarray = field(init=False)
    faded: np.ndarray = field(init=False)
    first: np.ndarray = field(init=False)
    latest: np.ndarray = field(init=False)
    seen: np.ndarray = field(init=False)
    newest: int = field(init=False, default=NEVER)
    recent: list[int] = field(init=False, default_factory=list)
    taken: int = field(init=False, default=0)
    numbers: dict[str, int] = field(init=False, default_factory=dict)  # of the tasks drawn since the last step, by id
    known: dict[int, np.ndarray] = field(init=False, default_factory=dict)  # by number: see `of`

    def __post_init__(self) -> None:
        arms = trainable(self.source)
        if not arms:
            raise UserError(f"{self.source.name} holds no training task, so no curriculum can choose one; check --tasks")
        sizes = {arm: self.source.size(arm, "train") for arm in arms}
        self.blocks = [(arm, 0, self.endless if size is None else size) for arm, size in sizes.items()]
        n = int(self.starts[-1])
        self.visits, self.tries, self.right = (np.zeros(n, np.uint32) for _ in range(3))
        self.faded = np.zeros((2, n), np.float32)
        self.first, self.latest = np.full(n, np.nan, np.float32), np.full(n, np.nan, np.float32)
        self.seen = np.full(n, NEVER, np.int32)

    def __len__(self) -> int:
        return len(self.tries)

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in (self.visits, self.tries, self.right, self.faded, self.first, self.latest, self.seen))

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """The arm of each block, sorted; behind them those of grown tasks, which may come again."""
        return tuple(arm for arm, _, _ in self.blocks)

    @cached_property
    def starts(self) -> np.ndarray:
        """(blocks + 1,): tasks starts[a] to starts[a + 1] - 1 are of arms[a]."""
        return np.concatenate([[0], np.cumsum([size for _, _, size in self.blocks])]).astype(np.int64)

    def extend(self, source: TaskSource, grown: Sequence[Task]) -> None:
        """Take in the tasks that a round has grown, which `source` draws after those of earlier rounds; no number changes."""
        had: Counter[Arm] = Counter()
        for arm, _, size in self.blocks:
            had[arm] += size
        self.source = source
        self.blocks += [(arm, had[arm], size) for arm, size in sorted(Counter(task.arm for task in grown).items())]
        n = len(grown)
        self.visits, self.tries, self.right = (
            np.append(a, np.zeros(n, np.uint32)) for a in (self.visits, self.tries, self.right)
        )
        self.faded = np.append(self.faded, np.zeros((2, n), np.float32), axis=1)
        self.first, self.latest = (np.append(a, np.full(n, np.nan, np.float32)) for a in (self.first, self.latest))
        self.seen = np.append(self.seen, np.full(n, NEVER, np.int32))
        for name in ("arms", "starts", "level"):
            self.__dict__.pop(name, None)

    def arm_of(self, numbers: np.ndarray) -> np.ndarray:
        """Index into `arms` of each task."""
        return np.searchsorted(self.starts, numbers, side="right") - 1

    @cached_property
    def level(self) -> np.ndarray:
        """(N,) int16: the task's place among its family's levels, 0 for the easiest."""
        return np.repeat(np.array(rungs(self.arms), np.int16), np.diff(self.starts))

    def draw(self, number: int) -> Task:
        """One task of the pool. What is then returned to the loop is recognised as this number."""
        block = int(self.arm_of(np.array(number)))
        arm, first, _ = self.blocks[block]
        task = self.source.draw(arm, "train", first + int(number - self.starts[block]), self.seed)
        self.numbers[task.id] = int(number)
        return task

    def of(self, number: int, describe: Callable[[Task], np.ndarray]) -> np.ndarray:
        """What `describe`, a function of the task alone and the same in every call, says of a task, which is drawn only once.

        A decision that looks at many tasks takes a few then. After REMEMBERED tasks all is forgotten and begins anew.
        """
        if number not in self.known:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[number] = describe(self.draw(number))
        return self.known[number]

    def observe(self, step: int, samples: Iterable[Sample]) -> list[TaskRow]:
        """Take in a step's judged samples; those of tasks that were not drawn here, or were not scored, are left out."""
        found: dict[int, list[bool]] = defaultdict(list)
        for s in samples:
            number = self.numbers.get(s.rollout.task.id)
            if number is not None and s.verdict.reward is not None:
                found[number].append(s.verdict.correct)
        rows = [(step, number, len(correct), sum(correct)) for number, correct in sorted(found.items())]
        self.add(rows)
        return rows

    def add(self, rows: Sequence[TaskRow]) -> None:
        """Rows in order of writing, each of at least one rollout."""
        for step, number, n, right in rows:
            if step != self.newest:
                self.newest, self.recent = step, []
            self.visits[number] += 1
            self.tries[number] += n
            self.right[number] += right
            self.faded[:, number] = FADE * self.faded[:, number] + (n, right)
            if self.seen[number] == NEVER:
                self.first[number] = right / n
            self.latest[number], self.seen[number] = right / n, step
            self.recent.append(number)
        self.taken += len(rows)


def trainable(source: TaskSource) -> tuple[Arm, ...]:
    """The arms that hold at least one training task, sorted."""
    return tuple(arm for arm in sorted(source.arms) if source.size(arm, "train") != 0)


def rungs(arms: Sequence[Arm]) -> list[int]:
    """Each arm's place among the levels of its family, from 0."""
    levels: dict[str, list[int]] = defaultdict(list)
    for arm in sorted(set(arms)):
        levels[arm.family].append(arm.level)
    return [levels[arm.family].index(arm.level) for arm in arms]
