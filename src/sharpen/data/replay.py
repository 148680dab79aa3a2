"""Memory: what was once answered right, by arm, so that it can be practised again.

1. One success a task: the first of its group. So a task that is always solved does not fill the memory.
2. The latest KEEP successes of each arm; worked solutions that were shown in warm-up are the oldest of them.
3. It is a function of the store alone: `restored` gives, after a commit, what `remember` had built up by then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from sharpen.core import Arm, Sample

KEEP = 1000

Memory = dict[Arm, deque[Sample]]


def remember(memory: Memory, samples: Iterable[Sample]) -> None:
    """Add the first success of each task."""
    first: dict[tuple[int, str], Sample] = {}
    for sample in samples:
        if sample.verdict.correct:
            first.setdefault((sample.group, sample.rollout.task.id), sample)
    for sample in first.values():
        memory.setdefault(sample.rollout.task.arm, deque(maxlen=KEEP)).append(sample)


def recall(memory: Memory, n: int, rng: np.random.Generator, without: Collection[str] = ()) -> list[Sample]:
    """n successes, with repeats: an arm at random, then one of its successes at random. None from an empty memory.

    without  ids of tasks whose labels were found wrong since
    """
    arms: list[Sequence[Sample]] = [memory[arm] for arm in sorted(memory)]
    if without:
        arms = [kept for own in arms if (kept := [s for s in own if s.rollout.task.id not in without])]
    if not arms:
        return []
    chosen = [arms[i] for i in rng.integers(len(arms), size=n)]
    return [successes[int(rng.integers(len(successes)))] for successes in chosen]


def restored(successes: Iterable[Sample]) -> Memory:
    """The memory as it was at the last commit, of what `Store.successes(KEEP)` has kept, oldest first."""
    memory: Memory = {}
    for sample in successes:
        memory.setdefault(sample.rollout.task.arm, deque(maxlen=KEEP)).append(sample)
    return memory
