"""The loop: warm up, then rounds of (choose, roll out, verify, learn), each kept, gone on from or taken back.

    start, resume  ->  run  ->  warm_up, then rounds of attempt (one step: learn) and close_round; measure, save

A plain recipe is a run of one stage; between two stages the weights are handed over (stages.py).

A run is a function of its request alone. Its state is the policy's checkpoint and the store; everything random comes from
`derive(seed, purpose, …)`, so a run that is killed and resumed goes on as if nothing had happened.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sharpen import guard, models, rollouts, tasks
from sharpen.core import FatalDiagnosis, Policy, TaskSource, UserError
from sharpen.curriculum import state
from sharpen.guard import doctor
from sharpen.loop import growing, stages, telling
from sharpen.loop.baseline import look as first_look
from sharpen.loop.sampling_step import say_missing
from sharpen.loop.session import (
    Request,
    Run,
    build_policy,
    build_recipe,
    choose_path,
    extrapolate,
    like_student,
    load_checkpoint,
    load_student,
    measure,
    moment,
    refer,
    round_end,
    save,
    share,
)
from sharpen.loop.step import learn
from sharpen.loop.warmup import signature, warm_up
from sharpen.recipe import Method, opening
from sharpen.store import Fault, Position, Store, database, no_fault
from sharpen.verify import code

__all__ = ["Request", "build_recipe", "resume", "run", "start"]
PACKAGES = ("torch", "transformers", "numpy", "reasoning-gym")
NEIGHBOURS, NEIGHBOURS_S = 0.25, 5.0  # share of the cores' time that others take, over so many seconds, before a word is said


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
    first = opening(recipe)
    source = first.tasks()
    for note in source.notes:
        progress.say(note)
    code.require(source, first.isolation)
    asked = dataclasses.asdict(request) | {"directory": str(request.directory)}
    student = load_student(first, source, request.seed)
    choice = chosen_before(origin) if origin else choose_path(first, student[0])
    meta: dict[str, Any] = {
        "recipe": request.recipe,
        "recipe_text": str(recipe),
        "request": asked,
        "seed": request.seed,
        "argv": list(request.argv),
        "student": first.student,
        "warmup": signature(first, request.seed),
        "threads": (choice.path.threads if choice else 0) or torch.get_num_threads(),
        "path": dataclasses.asdict(choice) if choice else None,
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
    }
    made = build_policy(first, *student, choice)
    meta["asking"] = dataclasses.asdict(telling.of_recipe(first, made.tokenizer))
    if origin:
        database.branch(origin, request.directory, meta)
    opened = Store.open(request.directory, True, fault) if origin else Store.create(request.directory, meta, fault)
    with opened as store, threads(meta["threads"]):
        run(store, recipe, request.seed, made, source, progress, began, pause, choice)
    return request.directory


def resume(directory: Path, progress: Any, fault: Fault = no_fault, pause: Callable[[], bool] = never) -> Path:
    """Go on with a run that was interrupted or paused. Raises UserError where there is none, or its recipe has changed."""
    began = time.monotonic()
    with Store.open(directory, write=True, fault=fault) as store:
        meta = store.meta()
        asked = meta["request"]
        request = Request(**{**asked, **{name: tuple(asked[name]) for name in ("settings", "argv", "roles")}})
        recipe = build_recipe(request)
        if str(recipe) != meta["recipe_text"]:
            raise UserError(
                f"the recipe {request.recipe} is not what it was when {directory} began, so the run cannot go on as it would "
                f"have. Restore the recipe, or start a new run.\nthen:\n{meta['recipe_text']}\nnow:\n{recipe}"
            )
        first = opening(recipe)
        source = first.tasks()
        code.require(source, first.isolation)
        choice = models.paths.recalled(meta["path"])
        made = build_policy(first, *load_student(first, source, request.seed), choice)
        with threads(meta["threads"]):
            run(store, recipe, request.seed, made, source, progress, began, pause, choice)
    return directory


def chosen_before(origin: Path) -> models.paths.Choice | None:
    """The path of the run that another one begins as a copy of: they are the same up to there, bit for bit."""
    with Store.open(origin, write=False) as store:
        return models.paths.recalled(store.meta()["path"])


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Inside, torch has so many: the order of additions, and so the last bit, depends on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run(
    store: Store,
    recipe: Method,
    seed: int,
    policy: Policy,
    source: TaskSource,
    progress: Any,
    began: float,
    pause: Callable[[], bool] = never,
    choice: models.paths.Choice | None = None,
) -> None:
    """The whole program. Returns when the run is finished or pauses; raises KeyboardInterrupt, once committed, where it was
    stopped."""
    this = going(store, recipe, seed, policy, source, progress, began)
    if choice:
        progress.say(str(choice))
    say_missing(this)
    if not this.asking.silent:
        progress.say(f"asked {this.asking}")
    last = store.last_commit()
    if last and last.finished:
        progress.say(f"{store.directory} is finished: nothing is left to do")
        stages.forget(store)
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
        rounds = store.rounds()
        if len(rounds) == 1 and not any(s["phase"] == "loop" for s in this.steps):
            for found in first_look(this):
                note(this, step, rounds, found)
        # 2. Stage after stage, of which a plain recipe is one: rounds, each kept only if held-out skill rose.
        stages.take_up(this, rounds)
        while True:
            if reason := stop_reason(this, step, rounds):
                handed, on = stages.hand_over(this, step, rounds, reason)
                if not on:
                    break
                rounds, this = handed, on
            else:
                step = practise(this, step, rounds, interrupted)
                rounds = close_round(this, step, rounds)
            if stopped(interrupted, pause):
                return
        # 3. The accepted weights on the test split.
        progress.say(f"stopping: {reason}")
        finish(this, step, rounds, handed)


def practise(this: Run, step: int, rounds: Sequence[dict[str, Any]], interrupted: Callable[[], bool]) -> int:
    """The steps of one round, or the rest of them. Returns the number of steps done."""
    end, steps = round_end(this, step), this.budget.kind == "steps"
    this.progress.phase(this.at.name or "loop", total=int(this.budget.amount) if steps else None, done=step - this.at.step)
    while step < end and (spent := share(this, step)) < 1:
        attempt(this, step, rounds, spent)
        step += 1
        if interrupted() and step < end:
            save(this, Position("loop", step, len(rounds) - 1))
            raise KeyboardInterrupt
    return step


def going(store: Store, method: Method, seed: int, policy: Policy, source: TaskSource, progress: Any, began: float) -> Run:
    """What a run holds in memory, with what its store says of the past."""
    listed = stages.listed(method)
    at = stages.standing(store, listed)
    recipe = listed[at.number].recipe
    sizes = {"validation": recipe.validation, "test": recipe.test}
    held_out = {split: tasks.held_out(source, split, n, seed) for split, n in sizes.items()}
    phases = defaultdict(float, map(tuple, store.rows("SELECT phase, sum(seconds) FROM timings GROUP BY phase")))
    reported = {name for (name,) in store.rows("SELECT DISTINCT name FROM diagnoses")}
    bound = models.roles.bind(recipe.roles, policy, partial(like_student, recipe, policy))
    judges = rollouts.judging(recipe.verify, policy, bound, seed, recipe.verdict_s)
    spent, steps = float(sum(phases.values())), [s for s in store.steps() if s["step"] >= at.step or not at.number]
    grown = growing.begin([stage.recipe for stage in listed], source, store, at.round)
    parts = store, recipe, seed, policy, bound, judges, grown, held_out, progress, began, spent, steps, reported, phases
    knows = state.begin(recipe, source, seed, store, grown.source)
    return Run(
        *(*parts, [0.0], {}, knows, listed, at, stages.budget(listed, at)),
        asking=rollouts.asking.parsed(store.meta().get("asking", {})),
    )


def stopped(interrupted: Callable[[], bool], pause: Callable[[], bool]) -> bool:
    """Whether to pause at a commit. Raises KeyboardInterrupt where the user has asked to stop."""
    if interrupted():
        raise KeyboardInterrupt
    return pause()


def stop_reason(this: Run, step: int, rounds: Sequence[dict[str, Any]]) -> str | None:
    """Why the stage is over, if it is."""
    if share(this, step) >= 1:
        return f"the budget of {this.budget} is spent"
    return moment(this, step, len(rounds)).ask("control", rounds[this.at.round :])


def attempt(this: Run, step: int, rounds: Sequence[dict[str, Any]], spent: float) -> None:
    """One step, and the doctor's look at it."""
    learn(this, step, len(rounds), spent)
    for found in doctor.diagnose(this.steps, rounds[this.at.round :]):
        note(this, step + 1, rounds, found)
    say_neighbours(this)


def say_neighbours(this: Run) -> None:
    """Tell the user once where others take the cores: a run that is slow for that has nothing wrong with it."""
    foreign = this.watch.foreign(NEIGHBOURS_S)
    if foreign is not None and foreign > NEIGHBOURS and "neighbours" not in this.reported:
        this.reported.add("neighbours")
        this.progress.say(
            f"something else is using the cores: {foreign:.0%} of their time in the last {NEIGHBOURS_S:.0f} s. The run goes on "
            "with its threads, slower; results are the same."
        )


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


def close_round(this: Run, step: int, rounds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Measure the round on the validation stream; its weights become the accepted ones, are gone on from, or are taken back.
    Then tasks may grow."""
    number = len(rounds)
    before = this.store.evaluation(max(r["round"] for r in rounds if r["accepted"]), "validation")
    assert before is not None
    extrapolate(this)
    after = measure(this, "validation", step, number)
    decision = moment(this, step, number).ask("guard", before, after)
    this.store.add_decision(number, decision)
    this.state.close(decision.answer, after)
    if decision.answer == "worse":
        go_back(this)
    growing.grow(this, step, number, share(this, step))
    if decision.answer == "better":
        save(this, Position("loop", step, number, accepted="this"), wait=False)
        refer(this)
    elif decision.answer == "unclear":
        save(this, Position("loop", step, number, accepted="keep"), wait=False)
    else:
        save(this, Position("loop", step, number, accepted="back"), write=False)
    this.progress.advance(0, accuracy=(after if decision.accepted else before).accuracy)
    this.progress.say(f"round {number}: held-out {after.accuracy:.1%}, {decision.reason}")
    told = {"round": number, "answer": decision.answer, "accepted": decision.accepted}
    rounds = [*rounds, {**told, "accuracy": after.accuracy, "n": after.n}]
    if decision.accepted:
        stages.keep(this, rounds)
    return rounds


def go_back(this: Run) -> None:
    """To the accepted weights, and what was committed beside them."""
    last = this.store.last_commit()
    assert last is not None and last.accepted is not None
    load_checkpoint(this, last.accepted)
    if models.roles.learners(this.recipe.roles):
        refer(this)  # one that had learnt nothing by then begins again


def finish(this: Run, step: int, rounds: Sequence[dict[str, Any]], handed: Sequence[dict[str, Any]]) -> None:
    """Measure the accepted weights on the test split: those of an unclear last round are not, what the last stage handed over
    is."""
    changed = len(handed) > len(rounds)
    if not changed and rounds[-1]["answer"] == "unclear":
        go_back(this)
    after = measure(this, "test", step, len(handed) - 1)
    accepted = "this" if changed else "back"
    save(this, Position("done", step, len(handed) - 1, accepted, finished=True), write=changed)
    stages.forget(this.store)
    this.progress.say(f"test accuracy {after.accuracy:.1%}")
