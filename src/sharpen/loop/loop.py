"""The loop: warm up, then rounds of (choose, roll out, verify, learn), each kept only if held-out skill rose.

    start, resume  ->  run  ->  warm_up, then rounds of attempt (one step: learn) and close_round; measure, save

A run is a function of its request alone. Its state is the policy's checkpoint and the store; everything random comes from
`derive(seed, purpose, …)`, so a run that is killed and resumed goes on as if nothing had happened.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sharpen import guard, tasks
from sharpen.core import FatalDiagnosis, Policy, TaskSource, UserError
from sharpen.curriculum import state
from sharpen.data import replay
from sharpen.guard import control, doctor
from sharpen.loop import growing
from sharpen.loop.sampling_step import say_missing
from sharpen.loop.session import (
    Request,
    Run,
    build_policy,
    build_recipe,
    evaluate_model,
    extrapolate,
    load_checkpoint,
    measure,
    refer,
    restore,
    round_end,
    save,
    share,
)
from sharpen.loop.step import learn
from sharpen.loop.warmup import signature, warm_up
from sharpen.recipe import Recipe
from sharpen.store import Fault, Position, Store, database, no_fault
from sharpen.verify import Judges, code

__all__ = ["Request", "build_recipe", "evaluate_model", "resume", "run", "start"]
PACKAGES = ("torch", "transformers", "numpy", "reasoning-gym")


def never() -> bool:
    """Do not pause."""
    return False


def start(
    request: Request,
    progress: Any,
    fault: Fault = no_fault,
    pause: Callable[[], bool] = never,
    origin: Path | None = None,
) -> Path:
    """Run a recipe from the beginning in a new directory. Returns the directory.

    fault   as in `Store`
    pause   asked after the warm-up and after every round, once it is committed; where it says yes, the run stops there, and
            `resume` goes on
    origin  a run of the same student, tasks, seed and warm-up that paused after its warm-up: this one begins as a copy of it.
            UserError where the two would not be the same up to there (`warmup.signature`)
    """
    began = time.monotonic()
    recipe = build_recipe(request)
    source = recipe.tasks()
    code.require(source, recipe.isolation)
    asked = dataclasses.asdict(request) | {"directory": str(request.directory)}
    meta = {
        "recipe": request.recipe,
        "recipe_text": str(recipe),
        "request": asked,
        "seed": request.seed,
        "argv": list(request.argv),
        "student": recipe.student,
        "warmup": signature(recipe, request.seed),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
    }
    made = build_policy(recipe, source, request.seed)
    if origin:
        database.branch(origin, request.directory, meta)
    with Store.open(request.directory, True, fault) if origin else Store.create(request.directory, meta, fault) as store:
        run(store, recipe, request.seed, made, source, progress, began, pause)
    return request.directory


def resume(directory: Path, progress: Any, fault: Fault = no_fault, pause: Callable[[], bool] = never) -> Path:
    """Go on with a run that was interrupted or paused. Raises UserError where there is none, or its recipe has changed."""
    began = time.monotonic()
    with Store.open(directory, write=True, fault=fault) as store:
        meta = store.meta()
        asked = meta["request"]
        request = Request(**{**asked, "settings": tuple(asked["settings"]), "argv": tuple(asked["argv"])})
        recipe = build_recipe(request)
        if str(recipe) != meta["recipe_text"]:
            raise UserError(
                f"the recipe {request.recipe} is not what it was when {directory} began, so the run cannot go on as it would "
                f"have. Restore the recipe, or start a new run.\nthen:\n{meta['recipe_text']}\nnow:\n{recipe}"
            )
        torch.set_num_threads(meta["threads"])  # the order of additions, and so the last bit, depends on it
        source = recipe.tasks()
        code.require(source, recipe.isolation)
        run(store, recipe, request.seed, build_policy(recipe, source, request.seed), source, progress, began, pause)
    return directory


def run(
    store: Store,
    recipe: Recipe,
    seed: int,
    policy: Policy,
    source: TaskSource,
    progress: Any,
    began: float,
    pause: Callable[[], bool] = never,
) -> None:
    """The whole program. Returns when the run is finished or pauses; raises KeyboardInterrupt, once committed, where it was
    stopped."""
    this = going(store, recipe, seed, policy, source, progress, began)
    say_missing(this)
    budget = control.parse_budget(recipe.budget)
    last = store.last_commit()
    if last and last.finished:
        progress.say(f"{store.directory} is finished: nothing is left to do")
        return
    if last and last.checkpoint:
        load_checkpoint(this, last.checkpoint)
    step = last.step if last else 0
    with this.judges, progress.interruptible() as interrupted:
        # 1. Warm up, and measure what everything is compared with.
        if last is None or last.phase == "warmup":
            step = warm_up(this, step, interrupted)
            extrapolate(this)
            measure(this, "before", step, 0)
            baseline = measure(this, "validation", step, 0)
            store.add_decision(0, guard.always(baseline, baseline))
            save(this, Position("loop", step, 0, accepted="this"))
            if stopped(interrupted, pause):
                return
        # 2. Rounds, each kept only if held-out skill rose.
        refer(this)
        rounds = store.rounds()
        state.recall(this.lessons, store)
        restore(this)
        growing.recall(this, len(rounds))
        if recipe.replay:
            this.memory.update(replay.restored(store.successes(replay.KEEP)))
        while not (reason := stop_reason(this, budget, step, rounds)):
            end = round_end(recipe, budget, step)
            progress.phase(
                "loop", total=int(budget.amount) if budget.kind == "steps" else None, done=step - recipe.warmup_steps
            )
            while step < end and (spent := share(this, budget, step)) < 1:
                attempt(this, step, rounds, spent)
                step += 1
                if interrupted() and step < end:
                    save(this, Position("loop", step, len(rounds) - 1))
                    raise KeyboardInterrupt
            rounds = close_round(this, step, rounds, share(this, budget, step))
            if stopped(interrupted, pause):
                return
        # 3. The accepted weights on the test split.
        progress.say(f"stopping: {reason}")
        after = measure(this, "test", step, len(rounds) - 1)
        save(this, Position("done", step, len(rounds) - 1, finished=True), write=False)
        progress.say(f"test accuracy {after.accuracy:.1%}")


def going(store: Store, recipe: Recipe, seed: int, policy: Policy, source: TaskSource, progress: Any, began: float) -> Run:
    """What a run holds in memory, with what its store says of the past."""
    sizes = {"validation": recipe.validation, "test": recipe.test}
    held_out = {split: tasks.held_out(source, split, n, seed) for split, n in sizes.items()}
    phases = defaultdict(float, map(tuple, store.rows("SELECT phase, sum(seconds) FROM timings GROUP BY phase")))
    reported = {name for (name,) in store.rows("SELECT DISTINCT name FROM diagnoses")}
    judges = Judges(recipe.verify, deadline_s=recipe.verdict_s)
    spent, steps = float(sum(phases.values())), store.steps()
    grown = growing.begin(recipe, source, store)
    return Run(
        *(store, recipe, seed, policy, judges, grown, held_out, progress, began, spent, steps, reported, phases, [0.0], {}),
        state.begin(recipe, source, seed, store, grown.source),
    )


def stopped(interrupted: Callable[[], bool], pause: Callable[[], bool]) -> bool:
    """Whether to pause at a commit. Raises KeyboardInterrupt where the user has asked to stop."""
    if interrupted():
        raise KeyboardInterrupt
    return pause()


def stop_reason(this: Run, budget: control.Budget, step: int, rounds: Sequence[dict[str, Any]]) -> str | None:
    if share(this, budget, step) >= 1:
        return f"the budget of {budget} is spent"
    return this.recipe.control(rounds)


def attempt(this: Run, step: int, rounds: Sequence[dict[str, Any]], spent: float) -> None:
    """One step, and the doctor's look at it."""
    learn(this, step, len(rounds), spent)
    for found in doctor.diagnose(this.steps, rounds):
        note(this, step + 1, rounds, found)


def note(this: Run, step: int, rounds: Sequence[dict[str, Any]], found: doctor.Diagnosis) -> None:
    """Record once what the doctor found; what is fatal is committed and stops the run."""
    if found.name not in this.reported:
        this.reported.add(found.name)
        this.store.add_diagnosis(step, found)
        if not found.fatal:
            this.progress.say(f"doctor: {found}")
    if found.fatal:
        save(this, Position("loop", step, len(rounds) - 1))
        raise FatalDiagnosis(str(found))


def close_round(this: Run, step: int, rounds: list[dict[str, Any]], spent: float) -> list[dict[str, Any]]:
    """Measure the round on the validation stream, keep its weights or go back to the accepted ones, then grow tasks."""
    number = len(rounds)
    before = this.store.evaluation(max(r["round"] for r in rounds if r["accepted"]), "validation")
    assert before is not None
    extrapolate(this)
    after = measure(this, "validation", step, number)
    decision = this.recipe.guard(before, after)
    this.store.add_decision(number, decision)
    if decision.accepted:
        this.lessons.evaluations.append(after)
        growing.grow(this, step, number, spent)
        save(this, Position("loop", step, number, accepted="this"), wait=False)
        refer(this)
    else:
        last = this.store.last_commit()
        assert last is not None and last.accepted is not None
        load_checkpoint(this, last.accepted)
        growing.grow(this, step, number, spent)
        save(this, Position("loop", step, number, accepted="back"), write=False)
    this.progress.advance(0, accuracy=(after if decision.accepted else before).accuracy)
    this.progress.say(f"round {number}: held-out {after.accuracy:.1%}, {decision.reason}")
    return [*rounds, {"round": number, "accepted": decision.accepted, "accuracy": after.accuracy, "n": after.n}]
