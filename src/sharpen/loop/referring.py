"""What a run is compared with: the reference that its objective names, and roles that are snapshots of the student."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from sharpen import models
from sharpen.loop.session import Run, like_student
from sharpen.recipe import first_objective
from sharpen.store import checkpoints


def refer(this: Run) -> None:
    """Give the policy the reference that the objective names, and the roles that are snapshots their models: when the loop
    begins, and after each round that was kept."""
    kind = first_objective(this.recipe).reference
    who = {role.name: role.bound for role in this.recipe.roles}
    wanted = {who.get(kind, kind), *who.values()}
    like = partial(like_student, this.recipe, this.policy)
    for name, path in snapshots(this, wanted):
        models.roles.take(this.recipe.roles, this.roles, name, path, this.policy, like)
        if who.get(kind, kind) == name:
            this.policy.refer(str(path))
    refer_fixed(this)


def refer_fixed(this: Run) -> None:
    """Give the policy the reference that stays the same, where the objective names one: before anything is measured, so that
    one that does not load, or does not share the vocabulary, costs nothing."""
    kind = first_objective(this.recipe).reference
    who = {role.name: role.bound for role in this.recipe.roles}
    if kind in who and who[kind] not in models.roles.SNAPSHOTS:
        this.policy.refer(who[kind], kind)


def snapshots(this: Run, wanted: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Directories of the student as it was when the loop began ("start") and at the last round that was kept ("accepted")."""
    if "start" in wanted:
        path = this.store.directory / (f"start-{this.at.number}" if this.at.number else "start")
        if not path.exists():
            aside = path.with_name("start.partial")
            shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed here
            this.policy.save(str(aside))
            checkpoints.stamp(aside)
            aside.rename(path)
        yield "start", checkpoints.verify(path)
    if "accepted" in wanted:
        this.store.settle()
        last = this.store.last_commit()
        assert last is not None and last.accepted is not None
        yield "accepted", this.store.verified(last.accepted)
