"""Growers: new tasks of what failed, between two rounds. The contract is in core/growth.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from sharpen.core import Arm, Evaluation, GrowthGenerator, Sample, Task, TaskSource
from sharpen.hashing import split_of
from sharpen.tasks import composed, halfway, interpolated

PAIRS = 20  # pairs of arms that are tried for `both` that fit together
TRIES = 20  # draws for a question that no other split would hold


def procedural(
    failed: Sequence[Sample],
    arms: Sequence[Arm],
    rng: np.random.Generator,
    each: int = 16,
    between: bool = True,
    both: int = 2,
    mastered: float = 0.8,
    hopeless: float = 0.1,
    *,
    evaluations: Sequence[Evaluation],
    source: TaskSource,
) -> GrowthGenerator:
    """Where success breaks off, levels in between; of two families that work, questions that need both. Answers by program.

    For each family, by the newest evaluation, `each` tasks half way between neighbouring levels, from the last one that is
    solved in at least `mastered` of its tasks to the first after it that is solved in at most `hopeless`, or to the last. And
    `each` tasks of `both` pairs of arms of different families, drawn among those whose success rates have a product between
    `hopeless` and `mastered`. Parents are failures of the round in the same families; a family without one grows nothing.
    Source: DataEnvGym (arXiv 2410.06215) for skills that say where; Goedel-Prover-V2 (arXiv 2508.03613) for scaffolds.
    """
    yield from ()
    counts = evaluations[-1].counts if evaluations else {}
    rate = {arm: right / n for arm, (right, n) in counts.items()}
    parents: dict[str, list[str]] = {}
    for sample in failed:
        task = sample.rollout.task
        parents.setdefault(task.family, []).append(task.id)
    grown: list[list[Task]] = []
    for family, low, high in gaps(rate, mastered, hopeless) if between else ():
        if family in parents and halfway(family, low, high):
            seeds = rng.integers(2**31, size=each)
            grown.append([interpolated(family, low, high, int(s), (pick(parents[family], rng),)) for s in seeds])
    able = pairs(rate, parents, mastered, hopeless, rng) if both else []
    rows = ([one(pair, source, parents, rng) for _ in range(each)] for pair in able[:PAIRS])
    grown += islice(filter(None, ([task for task in row if task] for row in rows)), both)
    # In turn, so that a limit on how many are taken leaves some of each.
    return [row[i] for i in range(each) for row in grown if i < len(row)]


def gaps(rate: Mapping[Arm, float], mastered: float, hopeless: float) -> list[tuple[str, int, int]]:
    """(family, level, next level) from each family's last mastered level to its first hopeless one after it."""
    found = []
    for family in sorted({arm.family for arm in rate}):
        levels = sorted(arm.level for arm in rate if arm.family == family)
        done = [level for level in levels if rate[Arm(family, level)] >= mastered]
        ahead = [level for level in levels if done and level >= done[-1]]
        for low, high in zip(ahead, ahead[1:], strict=False):
            found.append((family, low, high))
            if rate[Arm(family, high)] <= hopeless:
                break
    return found


def pairs(
    rate: Mapping[Arm, float], parents: Mapping[str, Sequence[str]], mastered: float, hopeless: float, rng: np.random.Generator
) -> list[tuple[Arm, Arm]]:
    """Pairs of arms of different families, one of them with a failure, likely to be solved now and then, in random order."""
    fitting = [
        (a, b)
        for a in sorted(rate)
        for b in sorted(rate)
        if a.family < b.family and hopeless < rate[a] * rate[b] < mastered and {a.family, b.family} & parents.keys()
    ]
    return [fitting[i] for i in rng.permutation(len(fitting))]


def one(
    pair: tuple[Arm, Arm], source: TaskSource, parents: Mapping[str, Sequence[str]], rng: np.random.Generator
) -> Task | None:
    """A task of both arms; None where their answers cannot stand side by side, or TRIES draws bring no training question."""
    origin = tuple(pick(parents[arm.family], rng) for arm in pair if arm.family in parents)
    for seed in rng.integers(2**31, size=TRIES):
        first, second = (source.draw(arm, "train", int(seed), int(seed)) for arm in pair)
        task = composed(first, second, origin)
        if task is None or split_of(task.prompt) == "train":
            return task
    return None


def pick(ids: Sequence[str], rng: np.random.Generator) -> str:
    return ids[int(rng.integers(len(ids)))]
