"""Which worked solutions a warm-up shows: in which arms, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpen.core import Arm, Task
from sharpen.curriculum import trainable
from sharpen.hashing import derive

if TYPE_CHECKING:
    from sharpen.loop.session import Run


def warm_up_arms(this: Run) -> list[Arm]:
    """The easiest levels of each family that has worked solutions; never its hardest, unless it is the only one."""
    chosen = []
    for family in sorted({arm.family for arm in this.source.arms}):
        arms = sorted(arm for arm in this.source.arms if arm.family == family)
        chosen += arms[: min(this.recipe.warmup_levels, max(len(arms) - 1, 1))]
    solved = [arm for arm in chosen if this.source.draw(arm, "train", 0, this.seed).solution is not None]
    return solved or chosen


def index(this: Run, number: int) -> int:
    """Which task of its arm is shown as number `number` of all: one of `warmup_demos`, or a fresh one."""
    demos = this.recipe.warmup_demos
    return derive(this.seed, "warmup", number) % demos if demos else number


def task(this: Run, arm: Arm, index: int) -> Task:
    """The task of an arm that is shown under this index."""
    return this.source.draw(arm, "train", index, derive(this.seed, "demonstrations"))


def beyond(this: Run, number: int) -> Task:
    """The task that would be shown as number `number` after the warm-up, had it gone on; of a run without one, those of every
    arm in turn."""
    recipe = this.recipe
    if recipe.warmup_steps == 0:
        arms = sorted(trainable(this.source))
        return task(this, arms[number % len(arms)], number)
    arms, number = warm_up_arms(this), recipe.warmup_steps * recipe.warmup_rows + number
    return task(this, arms[number % len(arms)], index(this, number))
