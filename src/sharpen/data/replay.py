"""Memory: what was once answered right, by arm, so that it can be practised again.

1. One success a task: the first of its group. So a task that is always solved does not fill the memory.
2. The latest KEEP successes of each arm; worked solutions that were shown in warm-up are the oldest of them.
3. It is a function of the store alone: `restored` gives, after a commit, what `remember` had built up by then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sharpen.core import Arm, Sample, Task
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


@dataclass(frozen=True)
class Aim:
    """What is replayed rather than the rest.

    arms       weights; arms that are not named have none
    focus      share of the draws that these weights decide; in the others every arm is as likely as any other
    half_life  steps after which a success counts half; 0: age counts nothing
    now        the present step
    """

    arms: Mapping[Arm, float]
    focus: float = 0.0
    half_life: float = 0.0
    now: int = 0


def wanted(drawn: Sequence[Task], rare: Mapping[Arm, float]) -> dict[Arm, float]:
    """Weights of arms: as often as the curriculum has drawn them, times how rare a success is there, 0 to 1."""
    return {arm: n * rare[arm] for arm, n in Counter(task.arm for task in drawn).items()}


def recall(
    memory: Memory, n: int, rng: np.random.Generator, without: Collection[str] = (), aim: Aim | None = None
) -> list[Sample]:
    """n successes, with repeats: an arm at random, then one of its successes at random. None from an empty memory.

    without  ids of tasks whose labels were found wrong since
    aim      draws unevenly
    """
    arms: list[Sequence[Sample]] = [memory[arm] for arm in sorted(memory)]
    if without:
        arms = [kept for own in arms if (kept := [s for s in own if s.rollout.task.id not in without])]
    if not arms:
        return []
    if aim:
        return aimed(arms, n, rng, aim)
    chosen = [arms[i] for i in rng.integers(len(arms), size=n)]
    return [successes[int(rng.integers(len(successes)))] for successes in chosen]


def aimed(arms: Sequence[Sequence[Sample]], n: int, rng: np.random.Generator, aim: Aim) -> list[Sample]:
    """As `recall`, by arm and age. Where no arm in the memory has a weight, all are alike."""
    weight = np.array([aim.arms.get(own[0].rollout.task.arm, 0.0) for own in arms])
    even = np.full(len(arms), 1 / len(arms))
    share = (1 - aim.focus) * even + aim.focus * weight / weight.sum() if weight.sum() > 0 else even
    found = []
    for i, times in enumerate(rng.multinomial(n, share / share.sum())):
        age = aim.now - np.array([sample.rollout.version for sample in arms[i]])
        young = 0.5 ** (np.maximum(age, 0) / aim.half_life) if aim.half_life else np.ones(len(arms[i]))
        young = young if young.sum() > 0 else np.ones(len(arms[i]))
        found += [arms[i][int(j)] for j in rng.choice(len(arms[i]), size=times, p=young / young.sum())]
    return found


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
