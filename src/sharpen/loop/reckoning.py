"""What a run says of its own evidence: what can be seen by it, where the curve will end, how often it was looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sharpen import guard
from sharpen.core import Decision, Evaluation
from sharpen.loop.session import Run, share
from sharpen.recipe import asked_for

FALL = 0.05  # of one arm, that a run should be able to see
USUAL = 20  # rounds


def begin(this: Run) -> None:
    """Say how large a harm shows at all, where the guard counts its looks."""
    if "looks" in asked_for(this.recipe.guard):
        tasks = [len(own) for own in this.held_out["validation"].values()]
        this.progress.say(seen_by(min(tasks), len(tasks), looks(this)))


def looks(this: Run) -> int:
    """How often the stage will look at validation, as far as that can be told: by its steps, or else as often as usual."""
    return max(math.ceil(this.budget.amount / this.recipe.round_steps), 1) if this.budget.kind == "steps" else USUAL


def seen_by(tasks: int, arms: int, times: int) -> str:
    """What the guard can see with so many tasks an arm, and what it would take to see FALL."""
    arm, whole = guard.visible(tasks, arms, times), guard.visible(tasks * arms, 1, times)
    said = f"the guard has {tasks} validation tasks for each of {arms} arms: within two rounds it sees nine in ten falls of one"
    said += f" arm by {100 * arm:.0f} points"
    said += f", and of all together by {100 * whole:.0f}" if arms > 1 else ""
    more = guard.needed(FALL, arms, times)
    return f"{said}; for {100 * FALL:.0f} in one arm it takes --set validation={more}" if more > tasks else said


def closed(this: Run, step: int, decision: Decision, after: Evaluation, rounds: Sequence[Mapping[str, Any]]) -> str:
    """The round in one line, with where the curve is expected to end."""
    said = f"round {rounds[-1]['round']}: held-out {guard.reported(decision, after):.1%}, {decision.reason}"
    if "retained" in decision.numbers:
        said += f"; retention {decision.numbers['retained']:.1%}"
    end = guard.prediction.of_rounds(rounds[this.at.round :], share(this, step))
    return f"{said}; expected at the end: {end}" if end else said


def ended(this: Run) -> str | None:
    """How often validation was looked at, and what its figures are worth now; None where nobody counts."""
    decisions = this.store.decisions()
    told = guard.exhausted(list(decisions.values()))
    return told[1] if told else None
