"""What a comparison found, as plain data: what `sharpen compare --json` prints and the page (page.py) shows.

Accuracy is the mean over arms on the test split, of the weights that a run kept. The curve of a run is its accuracy on the
validation stream, of the weights kept so far, over the share of the budget; its area, by trapezoids and with the last value
held to the end, is the mean accuracy over the budget. Intervals and p-values: paired.py. There are two verdicts, on accuracy,
which decides, and on area; each is corrected for the number of contenders, not for being two.

A guard that decides on the validation stream flatters that curve, and so the area; where contenders have different guards a
note says so.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.compare import controls, factorial, paired, runner
from sharpen.core import Evaluation
from sharpen.estimate import Estimate
from sharpen.guard import Budget, parse_budget
from sharpen.loop import WORK
from sharpen.recipe import Method, describe, opening, slot_texts
from sharpen.store import Store

LEVEL = 0.05  # of a claim's p-value, after correction


@dataclass(frozen=True)
class Point:
    """Where a run stood after a round, and the skill of the weights kept so far."""

    share: float
    steps: int
    tokens: int
    seconds: float
    kept: Evaluation


@dataclass(frozen=True)
class Outcome:
    """One finished trial, or one that the doctor stopped (then `before` and `after` say nothing).

    `curve` is empty where that was in the warm-up.
    """

    seed: int
    directory: Path
    stopped: str | None
    before: Evaluation | None
    after: Evaluation | None
    curve: Sequence[Point]
    rounds: int
    kept: int

    @property
    def whole(self) -> bool:
        return self.before is not None and self.after is not None and not self.stopped


def result(directory: Path, plan: runner.Plan, target: float | None = None) -> dict[str, Any]:
    """A comparison as one JSON object, without NaN: what is not known is null. Only what is finished is in it.

    Raises UserError where a run is damaged.
    """
    recipes = runner.check(plan)
    outcomes: list[list[Outcome]] = [[] for _ in recipes]
    for trial in runner.trials(directory, plan, recipes):
        if trial.origin and runner.standing(trial) >= 1:
            number = [c.name for c in plan.contenders].index(trial.name)
            outcomes[number].append(read(trial.directory, trial.request.seed, trial.budget))
    reached = [[o.curve[-1].kept.accuracy for o in runs if o.curve] for runs in outcomes]
    ends = [statistics.fmean(accuracies) for accuracies in reached if accuracies]
    target = target if target is not None else statistics.median(ends) if ends else None
    found = [
        summary(contender, runs, target) | {"complete": sum(o.whole for o in runs) == len(plan.seeds)}
        for contender, runs in zip(plan.contenders, outcomes)
    ]
    versus(found, outcomes)
    measured = [[(o.before, o.after) for o in runs if o.before and o.after and o.whole] for runs in outcomes]
    controls.explain(found, plan, measured)
    budget = parse_budget(runner.loop_budget(plan.budget))
    return {
        "budget": {"kind": budget.kind, "amount": budget.amount},
        "seeds": list(plan.seeds),
        "student": opening(recipes[0]).student,
        "tasks": describe(opening(recipes[0]).tasks),
        "target": target,
        "finished": sum(len(runs) for runs in outcomes) == len(plan.seeds) * len(recipes),
        "contenders": found,
        "notes": notes(plan, recipes, found) + [crossing.says for crossing in crossings(plan, outcomes)],
    }


def read(directory: Path, seed: int, budget: Budget) -> Outcome:
    """What a finished trial's store says."""
    with Store.open(directory) as store:
        decided = store.rounds()
        last = max((r["round"] for r in decided), default=0)
        return Outcome(
            seed,
            directory,
            runner.fatal(store),
            store.evaluation(0, "before"),
            store.evaluation(last, "test"),
            curve(store, budget),
            max(len(decided) - 1, 0),
            max(sum(r["accepted"] for r in decided) - 1, 0),
        )


def curve(store: Store, budget: Budget) -> list[Point]:
    """A point for the start and for the end of every decided round."""
    marks = ", ".join("?" * len(WORK))
    sql = f"SELECT step, sum(seconds) FROM timings WHERE phase IN ({marks}) GROUP BY step"
    seconds = dict(map(tuple, store.rows(sql, WORK)))
    used: dict[int, list[float]] = {}  # by round: steps, tokens, seconds
    for step in store.steps():
        if step["phase"] == "loop":
            sums = used.setdefault(step["round"], [0, 0, 0.0])
            for i, more in enumerate((1, step["tokens"], seconds.get(step["step"], 0.0))):
                sums[i] += more
    points: list[Point] = []
    totals = [0.0, 0.0, 0.0]
    for decided in store.rounds():
        totals = [a + b for a, b in zip(totals, used.get(decided["round"], (0, 0, 0.0)))]
        evaluation = store.evaluation(decided["round"], "validation") if decided["accepted"] else points[-1].kept
        assert evaluation is not None
        share = budget.spent({"steps": totals[0], "tokens": totals[1], "loop seconds": totals[2]}[budget.kind])
        points.append(Point(share, int(totals[0]), int(totals[1]), totals[2], evaluation))
    return points


def area(points: Sequence[Point]) -> paired.Scores:
    """The area under each task's curve, between 0 and 1; NaN where a task was not judged each time; of no curve, nothing."""
    if not points:
        return {}
    values = [paired.scores(p.kept) for p in points]
    shares = [p.share for p in points] + [1.0]
    found = {}
    for arm in values[0]:
        stack = np.stack([v[arm] for v in values] + [values[-1][arm]])
        found[arm] = np.trapezoid(stack, shares, axis=0)
    return found


def summary(contender: runner.Contender, runs: Sequence[Outcome], target: float | None) -> dict[str, Any]:
    """One contender's figures, over those of its runs that ended."""
    whole = [o for o in runs if o.whole]
    after, before = (
        [paired.scores(e) for e in listed if e] for listed in ([o.after for o in whole], [o.before for o in whole])
    )
    areas = [area(o.curve) for o in whole]
    gain = paired.difference(before, after) if whole else None
    return {
        "name": contender.name,
        "recipe": contender.recipe,
        "settings": list(contender.settings),
        "accuracy": _estimate(paired.level(after) if whole else None),
        "gain": _difference(gain),
        "area": _estimate(paired.level(areas) if whole else None),
        "to_target": to_target(runs, target),
        **{key: _mean([getattr(o.curve[-1], key) for o in runs if o.curve]) for key in ("steps", "tokens", "seconds")},
        "rounds": _mean([o.rounds for o in runs]),
        "kept": _mean([o.kept for o in runs]),
        "stopped": {o.seed: o.stopped for o in runs if o.stopped},
        "runs": [_run(o, target) for o in runs],
    }


def to_target(runs: Sequence[Outcome], target: float | None) -> dict[str, Any]:
    """When a run's curve first stands at the target: by how many runs it does, and the median over runs.

    A run that does not is later than any that does; where it is the median, that is null. Nor is there a median where a run met
    the target before its first step (`at_start` of them): that is no time.
    """
    reached = [_reached(o, target) for o in runs]
    at_start = sum(_met(o, target) for o in runs)
    medians = {}
    for key in ("share", "steps", "tokens", "seconds"):
        middle = statistics.median([getattr(p, key) if p else math.inf for p in reached]) if reached else math.inf
        medians[key] = middle if math.isfinite(middle) and not at_start else None
    return {"reached": sum(p is not None for p in reached), "of": len(runs), "at_start": at_start, **medians}


def versus(found: Sequence[dict[str, Any]], outcomes: Sequence[Sequence[Outcome]]) -> None:
    """Give every contender but the first its paired difference to the first, corrected for their number, and the verdicts.

    A contender of which a run is missing, or was stopped, is not compared: what is left of it is a selection.
    """
    first = found[0]
    others = [i for i in range(1, len(found)) if found[i]["complete"] and first["complete"]]
    for row in found:
        row["versus"] = None
    measures = {
        "accuracy": [[paired.scores(o.after) for o in runs if o.after] for runs in outcomes],
        "area": [[area(o.curve) for o in runs] for runs in outcomes],
    }
    for measure, values in measures.items():
        differences = [paired.difference(values[0], values[i]) for i in others]
        known = [(i, d) for i, d in zip(others, differences) if d]
        for (i, d), p in zip(known, paired.holm([d.p for _, d in known])):
            said = verdict(d, p, first["name"], measure)
            row = (_difference(d) or {}) | {"p": d.p, "p_corrected": p, **said}
            found[i]["versus"] = (found[i]["versus"] or {}) | {measure: row}


def crossings(plan: runner.Plan, outcomes: Sequence[Sequence[Outcome]]) -> list[factorial.Crossing]:
    """Changes of which both, each and neither were tried, by accuracy on the test split; of contenders whose runs are whole."""
    made = {c.name: (c.recipe, frozenset(c.settings)) for c in plan.contenders if not c.as_control}
    whole = {c.name: runs for c, runs in zip(plan.contenders, outcomes) if sum(o.whole for o in runs) == len(plan.seeds)}
    return factorial.crossings(made, {name: [o.after.accuracy for o in runs if o.after] for name, runs in whole.items()})


def verdict(d: paired.Difference, p: float, other: str, measure: str = "accuracy") -> dict[str, str]:
    """ "better", "worse" or "no difference shown", and a sentence with the numbers behind it."""
    word = "no difference shown" if p > LEVEL else "better" if d.value > 0 else "worse"
    what = f"{word} to {other}" if word == "no difference shown" else f"{word} than {other}"
    where = " in area under the curve" if measure == "area" else ""
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.995 else "p = 1"
    says = f"{what}{where}: {100 * d.value:+.1f} points ({100 * d.low:+.1f} to {100 * d.high:+.1f}, {shown})"
    return {"verdict": word, "says": says}


def notes(plan: runner.Plan, recipes: Sequence[Method], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader has to know before believing the table."""
    said = []
    if len(plan.seeds) == 1:
        said.append(
            "One seed: intervals and p-values cover the choice of tasks, not the luck of training. Repeat with --seeds 3."
        )
    if len(plan.contenders) > 2:
        said.append(f"p-values are corrected for {len(plan.contenders) - 1} comparisons (Holm); intervals are not.")
    first = plan.contenders[0].name
    for name, differs in runner.warmups_differ(plan, recipes).items():
        said.append(f"{name} began from a warm-up of its own, for it differs from {first} in {', '.join(differs)}.")
    for slot, why in (
        ("guard", "whose decisions rest on the validation stream, and flatter the curves"),
        ("verify", "which also judges its test answers"),
    ):
        kinds = sorted({slot_texts(recipe, slot) for recipe in recipes})
        if len(kinds) > 1:
            said.append(f"Contenders differ in {slot} ({'; '.join(kinds)}), {why}.")
    for row in found:
        for seed, why in row["stopped"].items():
            said.append(f"{row['name']}, seed {seed}: the doctor stopped it: {why}")
        if not row["complete"]:
            done = sum(run["accuracy"] is not None for run in row["runs"])
            said.append(f"{row['name']} is not compared: {done} of its {len(plan.seeds)} runs came to their end.")
    return said + controls.missing(plan)


def _run(o: Outcome, target: float | None) -> dict[str, Any]:
    reached = _reached(o, target)
    under = paired.value(area(o.curve)) if o.curve else math.nan
    return {
        "seed": o.seed,
        "directory": str(o.directory),
        "before": o.before.accuracy if o.before else None,
        "accuracy": o.after.accuracy if o.after and o.whole else None,
        "area": None if math.isnan(under) else under,
        "reached": reached.share if reached and not _met(o, target) else None,
        "at_start": _met(o, target),
        "curve": [[p.share, p.steps, p.tokens, p.seconds, p.kept.accuracy] for p in o.curve],
    }


def _reached(o: Outcome, target: float | None) -> Point | None:
    return next((p for p in o.curve if target is not None and p.kept.accuracy >= target), None)


def _met(o: Outcome, target: float | None) -> bool:
    """Whether a run stood at the target before its first step."""
    return bool(o.curve) and target is not None and o.curve[0].kept.accuracy >= target


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _estimate(e: Estimate | None) -> dict[str, Any]:
    return {"value": e.value, "ci95": [e.low, e.high], "n": e.n} if e else {"value": None, "ci95": None, "n": 0}


def _difference(d: paired.Difference | None) -> dict[str, Any] | None:
    return {"value": d.value, "ci95": [d.low, d.high], "n": d.n} if d else None
