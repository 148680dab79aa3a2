"""What a run's adapters lie on, said once as it begins or goes on, so that its commits hold the adapters alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from sharpen.core import Policy
from sharpen.loop.inputs import known_digests
from sharpen.models import base, located, saving
from sharpen.store import Store, checkpoints, database


def lay(store: Store, policy: Policy, student: str) -> None:
    """Tell a policy of adapters what they lie on: the directory that was brought, or RUN/base, which is written once where the
    student was made by the run itself. Nothing is done where whole weights are trained.

    UserError where RUN/base is not what was written.
    """
    if not getattr(policy, "lora", 0):
        return
    precision = policy.precision  # type: ignore[attr-defined]
    if (path := Path(located(student))).is_dir():
        policy.base = base.of(path.resolve(), precision, sums=known_digests)  # type: ignore[attr-defined]
        return
    if getattr(policy, "ranks", None):  # no process has it whole: what is committed is merged
        return
    place = store.directory / base.OWN
    if not place.exists():
        aside = place.with_name("base.partial")
        shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed here
        saving.write_base(policy, aside)
        checkpoints.stamp(aside)
        for file in (*aside.rglob("*"), aside):
            database.sync(file)
        aside.rename(place)
        database.sync(store.directory)
    policy.base = base.of(checkpoints.verify(place).resolve(), precision, own=True)  # type: ignore[attr-defined]
