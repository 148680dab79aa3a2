"""Memory: what was once answered right, by arm, so that it can be practised again.

1. One success a task: the first of its group. So a task that is always solved does not fill the memory.
2. The latest KEEP successes of each arm; worked solutions that were shown in warm-up are the oldest of them.
3. It is a function of the store alone: `restored` gives, after a commit, what `remember` had built up by then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from sharpen.core import Arm, Sample
from sharpen.data.selection import keep_all

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


def warmed(
    samples: Sequence[Sample],
    warm: float = 0.1,
    again: int = 20,
    most: int = 2000,
    *,
    progress: float,
    buffer: list[Sample],
    rng: np.random.Generator,
) -> list[Sample]:
    """Nothing to learn while the share `warm` of the budget lasts, in which what the frozen student tries is kept; then every
    scored sample of the step, and up to `again` whole groups of those before, drawn evenly. WSRL (arXiv 2412.07762).

    most  samples that are kept, the latest ones. For an objective that reads the log-probabilities at sampling time: what is
          drawn again is an older version's
    """
    new = keep_all(samples)
    old: dict[tuple[int, int], list[Sample]] = {}
    for sample in buffer:
        old.setdefault((sample.rollout.version, sample.group), []).append(sample)
    buffer += new
    del buffer[: max(len(buffer) - most, 0)]
    if progress < warm or not old:
        return [] if progress < warm else new
    keys, first = sorted(old), 1 + max((s.group for s in samples), default=-1)
    chosen = rng.permutation(len(keys))[:again]
    return new + [replace(s, group=first + n) for n, i in enumerate(chosen) for s in old[keys[i]]]
