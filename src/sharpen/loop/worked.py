"""Which worked solutions a warm-up shows: in which arms, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpen.core import Arm, Task, TaskSource, UserError, plural
from sharpen.curriculum import trainable
from sharpen.hashing import derive
from sharpen.recipe import Recipe
from sharpen.verify import right_response

if TYPE_CHECKING:
    from sharpen.loop.session import Run


def warm_up_arms(this: Run) -> list[Arm]:
    return shown(this.source, this.recipe, this.seed)


def shown(source: TaskSource, recipe: Recipe, seed: int) -> list[Arm]:
    """The easiest levels of each family that has worked solutions, or answers where none has any; never its hardest, unless it
    is the only one. Raises UserError where there is neither."""
    chosen = []
    for family in sorted({arm.family for arm in source.arms}):
        arms = sorted(arm for arm in source.arms if arm.family == family)
        chosen += arms[: min(recipe.warmup_levels, max(len(arms) - 1, 1))]
    first = {arm: source.draw(arm, "train", 0, seed) for arm in chosen}
    if solved := [arm for arm, task in first.items() if task.solution is not None]:
        return solved
    if answered := [arm for arm, task in first.items() if task.data.get("solution") or right_response(task) is not None]:
        return answered
    raise UserError(
        f"these tasks have neither solutions nor answers, so the warm-up of {plural(recipe.warmup_steps, 'step')} has nothing "
        "to show. Leave it out, --set warmup_steps=0, or give them a solution."
    )


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
