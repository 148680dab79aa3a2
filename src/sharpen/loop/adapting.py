"""A recipe's numbers as they are at a step, where the recipe lets them follow the run (`Recipe.adapt`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sharpen import guard

if TYPE_CHECKING:
    from sharpen.loop.session import Run


def adapted(this: Run, step: int, rounds: Sequence[Mapping[str, Any]]) -> Run:
    """The run with the temperature and the learning rate of this step.

    What was decided is said once, and is in the store as `adapted` of meta.
    """
    names = guard.adapting.NAMES if this.recipe.adapt == "all" else this.recipe.adapt.split(",")
    own = rounds[this.at.round :]
    changes: dict[str, float] = {}
    choices: list[guard.adapting.Choice] = []
    if "temperature" in names:
        steps = [s for s in this.steps if s["phase"] == "loop" and s["step"] >= this.at.step]
        heat, made = guard.adapting.heat(this.recipe.temperature, steps, len(rounds))
        changes["temperature"], choices = heat.at(step), choices + made
    if "lr" in names:
        changes["lr"], made = guard.adapting.rate(this.recipe.lr, own)
        choices = choices + made
    if not changes:
        return this
    for choice in choices:
        key = f"adapted {choice.round} {choice.name}"
        if key not in this.reported:
            this.reported.add(key)
            this.progress.say(f"after round {choice.round}: {choice}")
            listed = sorted((dataclasses.asdict(c) for c in choices), key=lambda c: (c["round"], c["name"]))
            this.store.add_meta("adapted", listed)
    changed: dict[str, Any] = {name: value for name, value in changes.items() if value != getattr(this.recipe, name)}
    return dataclasses.replace(this, recipe=dataclasses.replace(this.recipe, **changed)) if changed else this
