"""The loop: warm up, then rounds of (choose, roll out, verify, learn), each kept, gone on from or taken back.

    start, resume  ->  run  ->  warm_up, then rounds of attempt (one step: learn) and close_round; measure, save

A plain recipe is a run of one stage; between two stages the weights are handed over (stages.py).

A run is a function of its request alone. Its state is the policy's checkpoint and the store; everything random comes from
`derive(seed, purpose, …)`, so a run that is killed and resumed goes on as if nothing had happened.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from sharpen import guard, models, workers
from sharpen.core import Decision, Evaluation, FatalDiagnosis, Interrupted, Policy, TaskSource
from sharpen.guard import doctor
from sharpen.loop import (
    adapting,
    afar,
    auditing,
    growing,
    needed,
    processor,
    reckoning,
    resuming,
    retention,
    sizing,
    stages,
    telling,
    trust,
)
from sharpen.loop.baseline import look as first_look
from sharpen.loop.due import Due
from sharpen.loop.opening import going
from sharpen.loop.referring import refer, refer_fixed
from sharpen.loop.sampling_step import say_missing
from sharpen.loop.session import (
    Request,
    Run,
    build_policy,
    build_recipe,
    extrapolate,
    load_checkpoint,
    measure,
    moment,
    round_end,
    round_start,
    save,
    share,
    watching,
)
from sharpen.loop.step import learn
from sharpen.loop.warmup import signature, warm_up
from sharpen.recipe import Method, Recipe, opening
from sharpen.store import Asked, Fault, Position, Store, database, no_fault

__all__ = ["Request", "build_recipe", "resume", "run", "start"]


def never() -> bool:
    """Do not pause."""
    return False


def start(
    request: Request,
    progress: Any,
    fault: Fault = no_fault,
    pause: Callable[[], bool] = never,
    origin: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
    size: Callable[[Request, Policy, TaskSource, Any], Request] | None = None,
) -> Path:
    """Run a recipe from the beginning in a new directory. Returns the directory.

    fault   as in `Store`
    pause   asked after the warm-up and after every round, once it is committed; where it says yes, the run stops there, and
            `resume` goes on
    origin  a run of the same student, tasks, seed and warm-up that paused after its warm-up: this one begins as a copy of it.
            UserError where the two would not be the same up to there (`warmup.signature`)
    clock   by which commits within a round are due
    size    chooses settings by what the model is like (sizing.py), before anything is kept of the run
    """
    with workers.using(request.workers):
        return begin(request, progress, fault, pause, origin, clock, size)


def begin(request: Request, progress: Any, fault: Fault, pause: Any, origin: Path | None, clock: Any, size: Any) -> Path:
    """`start`, where the machines for verdicts, programs and environments are there."""
    began = time.monotonic()
    recipe = build_recipe(request)
    first = opening(recipe)
    source = first.tasks()
    for note in source.notes:
        progress.say(note)
    needed.look(request, recipe, source, progress, anew=origin is None)
    expected = sizing.supposed(request) if size else first
    choose = partial(processor.choose, expected) if origin is None else lambda _: processor.chosen_before(origin)
    choose = (lambda _: None) if request.shard else choose
    made: Any = build_policy(afar.whole(request, first), source, request.seed, nearest(request.directory), choose)
    made = afar.shared(request, first, made)
    served = afar.meet(request, made, progress)
    if size:
        models.roles.reach([role for stage in stages.listed(recipe) for role in stage.recipe.roles])
        needed.kin(recipe, made)
        request = size(request, made, source, progress)
        recipe = build_recipe(request)
        first = opening(recipe)
    meta = described(request, recipe, first, made)
    if origin:
        database.branch(origin, request.directory, meta)
    opened = Store.open(request.directory, True, fault) if origin else Store.create(request.directory, meta, fault)
    with opened as store, processor.threads(meta["threads"]), afar.generating(made, served):
        run(store, recipe, request.seed, made, source, progress, began, Due(request.commit_s, clock), pause)
    return request.directory


def described(request: Request, recipe: Method, first: Recipe, made: Any) -> dict[str, Any]:
    """What the store keeps of what a run is made of."""
    meta: dict[str, Any] = {
        "recipe": request.recipe,
        "request": dataclasses.asdict(request) | {"directory": str(request.directory)},
        "seed": request.seed,
        "argv": list(request.argv),
        "student": first.student,
        "warmup": signature(first, request.seed),
        **processor.described(request, made),
        **resuming.description(request, recipe, made),
    }
    if any(stage.arms for stage in stages.listed(recipe)):
        meta["stream"] = [[stage.name, list(stage.arms)] for stage in stages.listed(recipe)]
    meta["asking"] = dataclasses.asdict(telling.of_recipe(first, made.tokenizer))
    meta[trust.KEY] = trust.seal(trust.sealed(meta))
    return meta


def nearest(path: Path) -> Path:
    """The directory itself, or the first above it that exists."""
    return next(p for p in (path, *path.absolute().parents) if p.is_dir())


def resume(
    directory: Path,
    progress: Any,
    fault: Fault = no_fault,
    pause: Callable[[], bool] = never,
    more: str | Asked | None = None,
    accept: bool = False,
    trusted: bool = False,
    clock: Callable[[], float] = time.monotonic,
    instead: Mapping[str, Any] | None = None,
) -> Path:
    """Go on with a run that was interrupted or paused. Raises UserError where there is none, or it cannot go on (resuming.py).

    more     a budget, such as "30m", that a finished run gets beyond its own; or what a person asked (store/asked.py)
    accept   go on although what it was made of has changed; the run records that
    trusted  run the code that the directory names although it was not made here
    instead  fields of the request for this time: engines, publish and workers may be elsewhere by now
    """
    began = time.monotonic()
    with Store.open(directory, write=True, fault=fault) as store, processor.threads(store.meta()["threads"]):
        request, recipe, source, policy = resuming.taken_up(store, progress, accept, trusted, instead or {})
        due, served = Due(request.commit_s, clock), afar.meet(request, policy, progress)
        with workers.using(request.workers), afar.generating(policy, served):
            run(store, recipe, request.seed, policy, source, progress, began, due, pause, more)
    return directory


def run(
    store: Store,
    recipe: Method,
    seed: int,
    policy: Policy,
    source: TaskSource,
    progress: Any,
    began: float,
    due: Due,
    pause: Callable[[], bool] = never,
    more: str | Asked | None = None,
) -> None:
    """The whole program. Returns when the run is finished or pauses; raises KeyboardInterrupt, once committed, where it was
    stopped. `more` is what a finished run gets beyond its budget."""
    this = afar.ahead_of(going(store, recipe, seed, policy, source, progress, began, due))
    this.add_seconds("set-up", time.monotonic() - began, 0)
    say_missing(this)
    refer_fixed(this)
    if not this.asking.silent:
        progress.say(f"asked {this.asking}")
    if more:
        this = stages.extend(this, more)
    last = store.last_commit()
    if last and last.finished:
        progress.say(f"{store.directory} is finished. To go on: sharpen resume {store.directory} --budget 10m")
        stages.forget(store)
        return
    if last and last.checkpoint:
        load_checkpoint(this, last.checkpoint)
    step = last.step if last else 0
    with afar.closing(this), this.judges, progress.interruptible() as interrupted:
        this = dataclasses.replace(this, interrupted=interrupted)
        # 1. Warm up, and measure what everything is compared with.
        if last is None or last.phase == "warmup":
            step = prepare(this, step, interrupted)
            if stopped(interrupted, pause):
                return
        rounds = store.rounds()
        if len(rounds) == 1 and not any(s["phase"] == "loop" for s in this.steps):
            for found in first_look(this):
                note(this, step, rounds, found)
        # 2. Stage after stage, of which a plain recipe is one: rounds, each kept only if held-out skill rose.
        stages.take_up(this, rounds)
        while True:
            begun = round_start(this, step, len(rounds)) < step  # a round that has begun is closed, whatever the budget says
            if reason := None if begun else stop_reason(this, step, rounds):
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


def prepare(this: Run, step: int, interrupted: Callable[[], bool]) -> int:
    """Warm up, and measure both splits, committed. Returns the number of steps done."""
    step = warm_up(this, step, interrupted)
    try:
        if this.store.evaluation(0, "before") is None:
            if this.due():
                save(this, Position("warmup", step, 0), wait=False)
            extrapolate(this)
            measure(this, "before", step, 0, stops=True)
            if this.due():
                save(this, Position("warmup", step, 0), wait=False)
        baseline = measure(this, "validation", step, 0, stops=True)
    except Interrupted as asked:
        save(this, Position("warmup", step, 0))
        raise KeyboardInterrupt from asked
    this.store.add_decision(0, guard.always(baseline, baseline))
    save(this, Position("loop", step, 0, accepted="this"))
    return step


def practise(this: Run, step: int, rounds: Sequence[dict[str, Any]], interrupted: Callable[[], bool]) -> int:
    """The steps of one round, or the rest of them. Returns the number of steps done."""
    first, steps = round_start(this, step, len(rounds)), this.budget.kind == "steps"
    if first == step:
        retention.begin(this, step, rounds)
    end = round_end(this, first)
    this.progress.phase(this.at.name or "loop", total=int(this.budget.amount) if steps else None, done=step - this.at.step)
    while step < end and ((spent := share(this, step)) < 1 or untried(this, step)):
        try:
            with watching(this):
                attempt(this, step, rounds, spent)
        except Interrupted as asked:
            leave(this, step, rounds, asked)
        step += 1
        if interrupted():
            leave(this, step, rounds)
        if this.due():
            save(this, Position("loop", step, len(rounds) - 1), wait=False)
    return step


def leave(this: Run, step: int, rounds: Sequence[dict[str, Any]], asked: Interrupted | None = None) -> NoReturn:
    """Commit the steps that are done, and end as the user asked."""
    save(this, Position("loop", step, len(rounds) - 1))
    raise KeyboardInterrupt from asked


def stopped(interrupted: Callable[[], bool], pause: Callable[[], bool]) -> bool:
    """Whether to pause at a commit. Raises KeyboardInterrupt where the user has asked to stop."""
    if interrupted():
        raise KeyboardInterrupt
    return pause()


def stop_reason(this: Run, step: int, rounds: Sequence[dict[str, Any]]) -> str | None:
    """Why the stage is over, if it is."""
    if share(this, step) >= 1 and not untried(this, step):
        return f"the budget of {this.budget} is spent"
    return moment(this, step, len(rounds)).ask("control", rounds[this.at.round :])


def untried(this: Run, step: int) -> bool:
    """Whether no step was made yet: the first one is made whatever the budget."""
    return this.at.number == 0 and step == this.at.step


def attempt(this: Run, step: int, rounds: Sequence[dict[str, Any]], spent: float) -> None:
    """One step, and the doctor's look at it."""
    began = time.monotonic()
    stats = learn(adapting.adapted(this, step, rounds) if this.recipe.adapt else this, step, len(rounds), spent)
    if step == this.recipe.warmup_steps:
        look = this.phases["baseline"] * this.recipe.validation / (this.recipe.validation + this.recipe.test)
        this.progress.say(sizing.told(this.recipe, stats, time.monotonic() - began, look, this.budget))
    if [s["step"] for s in this.steps if s.get("rows_trained")] == [step]:  # the first update: from now on there are moments
        processor.say_memory(this)
    audits = this.store.meta().get("audits", ()) if this.recipe.roles else ()
    for found in doctor.diagnose(this.steps, rounds[this.at.round :], audits):
        note(this, step + 1, rounds, found)
    processor.say_neighbours(this)


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
    try:
        after = measure(this, "validation", step, number, stops=not this.recipe.extrapolation)
        kept = retention.measure(this, step, number, stops=not this.recipe.extrapolation)
    except Interrupted as asked:
        leave(this, step, rounds, asked)
    auditing.look(this, step, number)
    decision = decide(this, step, number, before, after, kept)
    this.store.add_decision(number, decision)
    this.state.close(decision.answer, after, kept)
    if decision.answer == "worse":
        go_back(this)
    if found := growing.grow(this, step, number, share(this, step)):
        note(this, step, rounds, found)
    if decision.answer == "better":
        save(this, Position("loop", step, number, accepted="this"), wait=False)
        refer(this)
    elif decision.answer == "unclear":
        save(this, Position("loop", step, number, accepted="keep"), wait=False)
    else:
        save(this, Position("loop", step, number, accepted="back"), write=False)
    this.progress.advance(0, accuracy=guard.reported(decision, after if decision.accepted else before))
    told = {"round": number, "answer": decision.answer, "accepted": decision.accepted}
    rounds = [*rounds, {**told, "accuracy": after.accuracy, "n": after.n}]
    this.progress.say(reckoning.closed(this, step, decision, after, rounds))
    if decision.accepted:
        stages.keep(this, rounds)
    return rounds


def decide(this: Run, step: int, number: int, before: Evaluation, after: Evaluation, kept: Evaluation | None) -> Decision:
    """What the guard says. Of what is retained it is shown this round's too."""
    at = moment(this, step, number)
    at.made["retained"] = [*this.state.retained, *([kept] if kept else [])]
    return at.ask("guard", before, after)


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
    try:
        after = measure(this, "test", step, len(handed) - 1, stops=True)
    except Interrupted as asked:
        raise KeyboardInterrupt from asked  # what was committed last is all there is
    accepted = "this" if changed else "back"
    save(this, Position("done", step, len(handed) - 1, accepted, finished=True), write=changed)
    stages.forget(this.store)
    this.progress.say(f"test accuracy {after.accuracy:.1%}")
    if looked := reckoning.ended(this):
        this.progress.say(looked)
