"""What a run holds in memory when it begins, or goes on: its recipe's stage, judges and roles, and what its store says."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

from sharpen import models, rollouts, tasks
from sharpen.core import Policy, TaskSource
from sharpen.curriculum import state
from sharpen.loop import beneath, growing, processor, retention, stages
from sharpen.loop.due import Due
from sharpen.loop.session import Run, like_student, within
from sharpen.recipe import Method
from sharpen.store import Store


def going(
    store: Store, method: Method, seed: int, policy: Policy, source: TaskSource, progress: Any, began: float, due: Due
) -> Run:
    """What a run holds in memory, with what its store says of the past."""
    listed = stages.listed(method)
    at = stages.standing(store, listed)
    recipe = listed[at.number].recipe
    beneath.lay(store, policy, recipe.student)
    sizes = {"validation": recipe.validation, "test": recipe.test}
    held_out = {split: tasks.held_out(source, split, n, seed) for split, n in sizes.items()}
    held_out[retention.PURPOSE] = retention.questions(method, [stage.recipe for stage in listed], source, seed)
    phases = defaultdict(float, map(tuple, store.rows("SELECT phase, sum(seconds) FROM timings GROUP BY phase")))
    reported = {name for (name,) in store.rows("SELECT DISTINCT name FROM diagnoses")}
    bound = models.roles.bind(recipe.roles, policy, partial(like_student, recipe, policy))
    judges = rollouts.judging(recipe.verify, policy, bound, seed, recipe.verdict_s)
    first = next((stage["step"] for stage in store.meta().get("stages", ()) if stage["number"] == at.number), at.step)
    spent, steps = float(sum(phases.values())), [s for s in store.steps() if s["step"] >= first or not at.number]
    processor.say_path(policy, progress)
    grown = growing.begin([stage.recipe for stage in listed], source, store, at.round)
    parts = store, recipe, seed, policy, bound, judges, grown, held_out, progress, began, spent, steps, reported, phases
    knows = state.begin(
        recipe, within(source, listed[at.number]), seed, store, grown.source, at.step if listed[at.number].arms else 0
    )
    return Run(
        *(*parts, [0.0], {}, knows, listed, at, stages.budget(listed, at), due),
        asking=rollouts.asking.parsed(store.meta().get("asking", {})),
    )
