"""A candidate measured as runs like any other, at equal budget, in turns that end where its share of the budget is spent.

It is chosen by the validation stream. The test split is looked at once, for the winner and what it is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharpen import loop
from sharpen.compare import paired, runner
from sharpen.core import Evaluation, FatalDiagnosis, UserError
from sharpen.guard import parse_budget
from sharpen.loop import session
from sharpen.outer.history import Failed
from sharpen.recipe import opening
from sharpen.store import Store
from sharpen.terminal import Quiet


@dataclass(frozen=True)
class Setting:
    """What all candidates of an outer loop share: where they run, on what, with which budget and seeds."""

    directory: Path
    budget: str
    seeds: tuple[int, ...]
    model: str | None = None
    tasks: str | None = None
    settings: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Evaluations by seed: on the validation stream of the weights kept so far, and on the test split before and after, where
    the run has come to its end. `idle` runs kept none of the rounds that they closed: they are measured as they began."""

    validation: tuple[Evaluation, ...]
    test: tuple[Evaluation | None, ...]
    steps: int
    tokens: int
    seconds: float
    idle: int = 0

    @property
    def value(self) -> float:
        return sum(e.accuracy for e in self.validation) / len(self.validation)

    @property
    def error(self) -> float:
        """Standard error by tasks; by seeds, where those differ more."""
        p, n = self.value, sum(e.n for e in self.validation)
        tasks = math.sqrt(max(p * (1 - p), 0.25 / max(n, 1)) / max(n, 1))
        values = [e.accuracy for e in self.validation]
        if len(values) < 2:
            return tasks
        spread = math.sqrt(sum((v - p) ** 2 for v in values) / (len(values) - 1) / len(values))
        return max(tasks, spread)


def trials(setting: Setting, name: str, recipe: str, settings: Sequence[str], seeds: Sequence[int]) -> list[runner.Trial]:
    """The runs of a candidate, and the warm-ups that they begin from, which all that agree so far share. UserError where it is
    no recipe that can run."""
    contender = runner.Contender(name, recipe, tuple(settings))
    plan = runner.Plan(
        (contender,), tuple(seeds), setting.budget, setting.model, setting.tasks, setting.settings, roles=setting.roles
    )
    return runner.trials(setting.directory, plan, runner.check(plan))


def measured(
    setting: Setting, name: str, recipe: str, settings: Sequence[str], share: float = 1.0, seeds: Sequence[int] = ()
) -> Measured:
    """Advance a candidate's runs to this share of their budget, and read how they stand.

    Raises Failed where the doctor stops one of them, and where the recipe cannot be built or run.
    """
    try:
        listed = trials(setting, name, recipe, settings, seeds or setting.seeds)
        for trial in listed:
            advance(trial, 1.0 if trial.origin is None else share)
        return read([trial for trial in listed if trial.origin])
    except (UserError, FatalDiagnosis) as error:
        raise Failed(str(error)) from error


def advance(trial: runner.Trial, share: float) -> None:
    """Go on with a run until it has closed the round in which this share of its budget is spent, or to its end."""
    rounds = stops_after(trial, share)
    done = closed(trial.directory)
    if done is not None and trial.origin is None:
        return
    seen = [done or 0]

    def pause() -> bool:
        """Asked after each round, and after a warm-up, of which only a run of its own has one."""
        if trial.origin is None:
            return True
        seen[0] += 1
        return rounds is not None and seen[0] >= rounds

    if rounds is not None and seen[0] >= rounds:
        return
    if (trial.directory / "run.db").is_file():
        if runner.standing(trial) < 1:
            loop.resume(trial.directory, Quiet(), pause=pause)
    else:
        loop.start(trial.request, Quiet(), pause=pause, origin=trial.origin)


def stops_after(trial: runner.Trial, share: float) -> int | None:
    """The number of rounds after which that share of the budget is spent; None: the whole run. UserError where a budget that is
    not of steps would have to be divided: where a run stands then depends on the clock."""
    if share >= 1 or trial.origin is None:
        return None
    if trial.budget.kind != "steps":
        raise UserError(f"halving needs a budget in steps, such as --budget 60steps, and not {trial.budget}.")
    every = opening(session.build_recipe(trial.request)).round_steps
    return max(math.ceil(share * trial.budget.amount / every), 1)


def closed(directory: Path) -> int | None:
    """Rounds that a run has closed; None where it has not come to its first."""
    if not (directory / "run.db").is_file():
        return None
    with Store.open(directory) as store:
        last = store.last_commit()
        return None if last is None or last.phase == "warmup" else max(len(store.rounds()) - 1, 0)


def read(listed: Sequence[runner.Trial]) -> Measured:
    """How the runs of a candidate stand. Raises FatalDiagnosis for what the doctor said of one."""
    validation, test, sums, idle = [], [], [0.0, 0.0, 0.0], 0
    for trial in listed:
        with Store.open(trial.directory) as store:
            if reason := runner.fatal(store):
                raise FatalDiagnosis(reason)
            rounds = store.rounds()
            kept = max(r["round"] for r in rounds if r["accepted"])
            idle += kept == rounds[0]["round"] and len(rounds) > 1
            found = store.evaluation(kept, "validation")
            assert found is not None
            validation.append(found)
            test.append(store.evaluation(rounds[-1]["round"], "test"))
            used = runner.totals(store)
        for i, kind in enumerate(("steps", "tokens", "loop seconds")):
            sums[i] += used[kind]
    return Measured(tuple(validation), tuple(test), int(sums[0]), int(sums[1]), sums[2], idle)


def blind(found: Measured, budget: str) -> str | None:
    """What to say where the runs of what all is compared with have kept nothing, so that hardly anything will be told apart."""
    if found.idle < len(found.validation):
        return None
    return (
        f"with {budget} the recipe as it is keeps none of its rounds, and is measured as it began: little can be told apart so."
        " Take a larger budget for each, more --set validation=…, or --set guard=always."
    )


def gain(base: Measured, winner: Measured, split: str = "test") -> dict[str, Any] | None:
    """winner - base on a split, paired by seed and by task, as JSON; None where one was not measured there."""
    both = [[e for e in getattr(one, split) if e is not None] for one in (base, winner)]
    return difference(*both) if len(both[0]) == len(both[1]) and both[0] else None


def difference(base: Sequence[Evaluation], other: Sequence[Evaluation]) -> dict[str, Any] | None:
    """other - base, paired by seed and by task, as JSON; None where no task was judged in both."""
    found = paired.difference(*([paired.scores(e) for e in one] for one in (base, other)))
    if found is None:
        return None
    return {"value": found.value, "ci95": [found.low, found.high], "p": found.p, "n": found.n}


def parse(budget: str) -> str:
    """The budget as it is given to a run. UserError for one that is none."""
    parse_budget(budget)
    return budget.strip()
