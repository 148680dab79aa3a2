"""Growth: between two rounds new tasks may be made of what failed.

A grower is a generator function `(failed, arms, rng, *, what it asks for by name)` that returns tasks, each with its `parents`
and the `operator` that made it. It may yield what a rollout may (`Ask`, …) and is sent the answers; there is no I/O in it.

Beside tasks the list may hold what else it found, which is kept and reported: a `Weakness` that it works on, a `Refused`
proposal of its own, and a `Repair` of a training task whose label is wrong.

    failed   the round's samples that were judged and not correct, oldest first, FAILED of them at most
    arms     all arms that hold training tasks, grown ones too, sorted
    rng      random numbers of this round

By name (loop/offers.py): `source` draws tasks; `seen` are the round's judged samples, right ones too; `evaluations`
(validation of the accepted rounds), `history` and `totals` (training rollouts by arm) and `progress` (share of the budget)
are what a curriculum knows by these names.

Nothing that is returned is trained on before the screen (data/screen.py) and the rollouts after it let it through: so a grower
need not check its work, and must not be trusted. A family that the source has stays as it is: grown tasks have families of
their own, and belong to the training split. One that raises, or returns nothing, costs the run nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sharpen.core.events import GrowthGenerator
from sharpen.core.tasks import Arm, Task
from sharpen.core.verdicts import Sample

FAILED = 4096  # samples
SEEN = 8192  # samples


@dataclass(frozen=True)
class Weakness:
    """What the student is bad at, named, with how sure that is.

    name     such as "chain_sum/3", "cluster 2 of 5: clips, friends", "malformed", or a skill that a judge named
    kind     what kind of name that is: "skill", "cluster", "error", "missing skill", "concept", …
    failed   attempts that failed, of `n`
    low, high  95 % interval of the share that fails
    samples  failures that show it, oldest first
    """

    name: str
    kind: str
    failed: int
    n: int
    low: float
    high: float
    samples: tuple[Sample, ...] = field(default=(), repr=False)

    @property
    def rate(self) -> float:
        return self.failed / self.n if self.n else 0.0


@dataclass(frozen=True)
class Refused:
    """A proposal that the grower itself threw away, or something that it could not do: why, and an example.

    task  with the label that is in dispute, where a person might decide that it is right; None: there is nothing to decide
    """

    reason: str
    example: str
    task: Task | None = None


@dataclass(frozen=True)
class Repair:
    """A training task, as the source draws it, whose label is not to be trusted.

    answer    the label that takes its place
    solution  the worked solution that does
    Neither: the task is drawn no more.
    """

    task: Task
    answer: str | None = None
    solution: str | None = None
    reason: str = ""

    @property
    def kind(self) -> str:
        return "label mended" if self.answer is not None else "solution mended" if self.solution is not None else "dropped"


def nothing(failed: Sequence[Sample], arms: Sequence[Arm], rng: np.random.Generator) -> GrowthGenerator:
    """Grow no tasks."""
    yield from ()
    return []
