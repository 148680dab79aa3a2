"""Growers: new tasks of what failed, between two rounds. The contract is in core/growth.py.

procedural    levels between levels, and questions that need two families; asks nobody
closed_loop   repair (repair.py) -> diagnose (diagnose.py) -> propose (propose.py) -> label (label.py), each a function
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from sharpen.core import Arm, ArmStats, Ask, Evaluation, GrowthGenerator, Refused, Repair, Sample, Task, TaskSource, Weakness
from sharpen.data import diagnose as diagnosing
from sharpen.data import propose as proposing
from sharpen.data import screen
from sharpen.data.diagnose import Given
from sharpen.hashing import split_of
from sharpen.tasks import composed, halfway, interpolated

PAIRS = 20  # pairs of arms that are tried for `both` that fit together
TRIES = 20  # draws for a question that no other split would hold


def closed_loop(
    failed: Sequence[Sample],
    arms: Sequence[Arm],
    rng: np.random.Generator,
    n: int = 64,
    diagnose: Callable[..., diagnosing.Diagnosis] = diagnosing.by_skill,
    propose: Callable[..., proposing.Proposals] = proposing.by_program,
    label: tuple[Callable[..., GrowthGenerator], ...] = (),
    repair: Callable[..., GrowthGenerator] | None = None,
    *,
    seen: Sequence[Sample],
    source: TaskSource,
    evaluations: Sequence[Evaluation],
    history: Mapping[Arm, Sequence[ArmStats]],
    ask: Callable[[Task], Ask],
) -> GrowthGenerator:
    """n proposals for what is diagnosed, of those labels that every check in `label` confirms; and labels repaired first.

    A task whose label is repaired is no failure, so nothing is diagnosed or grown from it. Of proposals that ask the same
    question the first alone is labelled. Returned are tasks, and what else was found: core/growth.py.
    """
    given = Given(failed, seen, arms, rng, source, evaluations, history, ask)
    found: list[Any] = (yield from repair(given)) if repair else []
    mended = {item.task.id for item in found if isinstance(item, Repair)}
    honest = [[s for s in samples if s.rollout.task.id not in mended] for samples in (failed, seen)]
    given = replace(given, failed=honest[0], seen=honest[1])
    weak = yield from diagnose(given)
    found += weak
    proposals = yield from propose(given, [w for w in weak if isinstance(w, Weakness)], n)
    tasks, refused = once([p for p in proposals if isinstance(p, Task)])
    found += [*refused, *(p for p in proposals if not isinstance(p, Task))]
    for check in label:
        checked = (yield from check(given, tasks)) if tasks else []
        tasks = [item for item in checked if isinstance(item, Task)]
        found += [item for item in checked if not isinstance(item, Task)]
    return [*tasks, *found]


def once(tasks: Sequence[Task]) -> tuple[list[Task], list[Refused]]:
    """(tasks, each question once; the others)."""
    first: dict[str, Task] = {}
    again = [task for task in tasks if first.setdefault(screen.signature(screen.text(task)), task) is not task]
    return list(first.values()), [Refused(screen.DUPLICATE, screen.text(task)) for task in again]


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
