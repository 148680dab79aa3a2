"""Growth: between two rounds new tasks may be made of what failed.

A grower is a generator function `(failed, arms, rng, *, what it asks for by name)` that returns tasks, each with its `parents`
and the `operator` that made it. It may yield what a rollout may (`Ask`, …) and is sent the answers; there is no I/O in it.

    failed   the round's samples that were judged and not correct, oldest first, FAILED of them at most
    arms     all arms that hold training tasks, grown ones too, sorted
    rng      random numbers of this round

By name (loop/offers.py): `source` draws tasks; `evaluations` (validation of the accepted rounds), `history` and `totals`
(training rollouts by arm) and `progress` (share of the budget) are what a curriculum knows by these names.

Nothing that is returned is trained on before the screen (data/screen.py) and the rollouts after it let it through: so a grower
need not check its work, and must not be trusted. A family that the source has stays as it is: grown tasks have families of
their own, and belong to the training split. One that raises, or returns nothing, costs the run nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core.events import GrowthGenerator
from sharpen.core.tasks import Arm
from sharpen.core.verdicts import Sample

FAILED = 4096  # samples


def nothing(failed: Sequence[Sample], arms: Sequence[Arm], rng: np.random.Generator) -> GrowthGenerator:
    """Grow no tasks."""
    yield from ()
    return []
