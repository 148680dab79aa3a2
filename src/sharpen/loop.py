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

import numpy as np
import torch

from sharpen import code, control, doctor, guard, learning, lessons, memory, rollout, tasks, teach
from sharpen.attempts import trainable
from sharpen.batching import make_batch
from sharpen.core import Arm, Choices, FatalDiagnosis, Policy, Sample, Task, TaskSource, UserError
from sharpen.hashing import derive
from sharpen.judging import Judges
from sharpen.recipe import Recipe, call, describe
from sharpen.session import (
    Request,
    Run,
    build_policy,
    build_recipe,
    evaluate_model,
    load_checkpoint,
    measure,
    refer,
    restore,
    save,
)
from sharpen.store import Fault, Position, Store, no_fault
from sharpen.warmup import ramp, signature, warm_up

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
    with (
        Store.branch(origin, request.directory, meta, fault)
        if origin
        else Store.create(request.directory, meta, fault) as store
    ):
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
    sizes = {"validation": recipe.validation, "test": recipe.test}
    held_out = {split: tasks.held_out(source, split, n, seed) for split, n in sizes.items()}
    phases = defaultdict(float, map(tuple, store.rows("SELECT phase, sum(seconds) FROM timings GROUP BY phase")))
    reported = {name for (name,) in store.rows("SELECT DISTINCT name FROM diagnoses")}
    judges = Judges(recipe.verify, deadline_s=recipe.verdict_s)
    spent, steps = float(sum(phases.values())), store.steps()
    this = Run(
        *(store, recipe, seed, policy, judges, source, held_out, progress, began, spent, steps, reported, phases, [0.0], {}),
        lessons.begin(recipe, source, seed, store),
    )
    say_missing(this)
    budget = control.parse_budget(recipe.budget)
    last = store.last_commit()
    if last and last.finished:
        progress.say(f"{store.directory} is finished: nothing is left to do")
        return
    if last and last.checkpoint:
        load_checkpoint(this, last.checkpoint)
    step = last.step if last else 0
    with judges, progress.interruptible() as interrupted:
        # 1. Warm up, and measure what everything is compared with.
        if last is None or last.phase == "warmup":
            step = warm_up(this, step, interrupted)
            measure(this, "before", step, 0)
            baseline = measure(this, "validation", step, 0)
            store.add_decision(0, guard.always(baseline, baseline))
            save(this, Position("loop", step, 0, accepted="this"))
            if stopped(interrupted, pause):
                return
        # 2. Rounds, each kept only if held-out skill rose.
        refer(this)
        rounds = store.rounds()
        restore(this)
        lessons.recall(this.lessons, store)
        if recipe.replay:
            this.memory.update(memory.restore(store))
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
            rounds = close_round(this, step, rounds)
            if stopped(interrupted, pause):
                return
        # 3. The accepted weights on the test split.
        progress.say(f"stopping: {reason}")
        after = measure(this, "test", step, len(rounds) - 1)
        save(this, Position("done", step, len(rounds) - 1, finished=True), write=False)
        progress.say(f"test accuracy {after.accuracy:.1%}")


def stopped(interrupted: Callable[[], bool], pause: Callable[[], bool]) -> bool:
    """Whether to pause at a commit. Raises KeyboardInterrupt where the user has asked to stop."""
    if interrupted():
        raise KeyboardInterrupt
    return pause()


def stop_reason(this: Run, budget: control.Budget, step: int, rounds: Sequence[dict[str, Any]]) -> str | None:
    if share(this, budget, step) >= 1:
        return f"the budget of {budget} is spent"
    return this.recipe.control(rounds)


def share(this: Run, budget: control.Budget, step: int) -> float:
    """The share of the budget that is used once `step` steps are done, warm-up included."""
    return budget.spent(this.used(budget.kind, step - this.recipe.warmup_steps))


def round_end(recipe: Recipe, budget: control.Budget, step: int) -> int:
    """The step at which the round that `step` lies in is closed."""
    done = step - recipe.warmup_steps
    end = (done // recipe.round_steps + 1) * recipe.round_steps
    return recipe.warmup_steps + (min(end, int(budget.amount)) if budget.kind == "steps" else end)


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


def learn(this: Run, step: int, number: int, spent: float) -> None:
    """One step: choose, roll out, verify, select, update, record. `spent` is the share of the budget used so far.

    Where `data` leaves fewer groups than the step has prompts, the curriculum is asked for the missing ones, `refills` times.
    """
    recipe = this.recipe
    start = time.monotonic()
    drawn: list[Task] = []  # by group
    samples: list[Sample] = []
    kept: list[Sample] = []
    for refill in range(1 + recipe.refills):
        missing = recipe.prompts - len({s.group for s in kept})
        if refill and missing <= 0:
            break
        with this.timed("teach", step):
            chosen = choose(this, step, refill, missing, len(drawn), spent)
        samples += try_out(this, step, chosen, len(drawn))
        drawn += [task for task, _ in chosen]
        with this.timed("learn", step):
            offers = learning.Offers(this, step, number, spent, samples, drawn)
            kept = learning.select(offers)
    say_short(this, step, samples, kept)
    with this.timed("learn", step):
        kept = kept + learning.replayed(this, step)
        memory.remember(this.memory, samples if recipe.replay else ())
        lr = recipe.lr * ramp(step - recipe.warmup_steps) * (1 - (1 - recipe.lr_end) * spent)
        batch = make_batch(kept, recipe.sampling)
        stats = learning.updates(offers, kept, batch, lr) if kept else {}
        this.buffer[:] = offers.buffer
        this.policy.version = step + 1
    with this.timed("store", step):
        stats = {**describe_step(samples), **stats, "lr": lr, "temperature": recipe.temperature}
        stats["unscorable_limit"] = recipe.unscorable_limit
        this.store.add_samples("train", step, number, samples)
        this.store.add_samples("demo", step, number, offers.shown)
        this.store.add_samples("told", step, number, offers.told)
        this.store.add_batch(step, kept)
        this.store.add_step(step, "loop", number, stats)
        this.steps.append({**stats, "step": step, "phase": "loop", "round": number})
        this.store.add_arm_stats(teach.statistics(step, samples))
    rate = stats["tokens"] / max(time.monotonic() - start, 1e-9)
    this.progress.advance(1, reward=stats["reward"], silent=stats["silent"], tokens_per_second=rate)


def choose(this: Run, step: int, refill: int, prompts: int, first: int, spent: float) -> list[tuple[Task, int]]:
    """Ask the curriculum for prompts: tasks, and how many rollouts each gets. `first` is the first one's group number."""
    recipe, seed, source = this.recipe, this.seed, this.source
    rng = np.random.default_rng(derive(seed, step, "teach", *([refill] if refill else [])))
    if this.lessons.attempts and not refill:
        this.lessons.attempts.numbers.clear()
    offers = this.lessons.offers(spent)
    arms = trainable(source)
    choices = checked(call(recipe.teach, this.store.history(), arms, prompts, recipe.samples, rng, **offers), recipe)
    start = step * recipe.prompts * (1 + recipe.refills) + first
    return [
        (source.draw(what, "train", start + i, seed) if isinstance(what, Arm) else what, n)
        for i, (what, n) in enumerate(choices)
    ]


def checked(choices: Choices, recipe: Recipe) -> Choices:
    """Choices of at least one rollout. UserError for what is neither arm nor task, and for a number that is none."""
    for what, n in choices:
        if not isinstance(what, Arm | Task) or not isinstance(n, int | np.integer) or n < 0:
            raise UserError(
                f"teach={describe(recipe.teach)} chose {what!r} with {n!r} rollouts. A curriculum returns pairs of an Arm or "
                "a Task and a whole number from 0."
            )
    return [(what, int(n)) for what, n in choices if n]


def try_out(this: Run, step: int, chosen: Sequence[tuple[Task, int]], first: int) -> list[Sample]:
    """Roll out each task as often as it is to be, and judge."""
    recipe = this.recipe
    groups = [first + i for i, (_, n) in enumerate(chosen) for _ in range(n)]
    ids = [f"s{step:06d}.{first + i:03d}.{j:03d}" for i, (_, n) in enumerate(chosen) for j in range(n)]
    with this.timed("generate", step):
        rollouts = rollout.drive(
            this.policy,
            recipe.rollout,
            [task for task, n in chosen for _ in range(n)],
            ids,
            seed=derive(this.seed, step, "rollout"),
            max_tokens=recipe.max_tokens,
            sampling=recipe.sampling,
            finished=this.judges.begin,
        )
    with this.timed("verify", step):
        samples = this.judges.judge(rollouts, groups)
    this.store.add_task_stats(this.lessons.observe(step, samples))
    return samples


def say_missing(this: Run) -> None:
    """Tell the user of arms without training tasks, which are left out, and of a pool that is smaller than a step."""
    empty = sorted(set(this.source.arms) - set(trainable(this.source)))
    if empty:
        left = "they are measured, not practised" if len(empty) > 1 else "it is measured, not practised"
        this.progress.say(f"no training tasks in {', '.join(map(str, empty))}: {left}")
    attempts, prompts = this.lessons.attempts, this.recipe.prompts
    if attempts and len(attempts) < prompts:
        few = f"{len(attempts)} training tasks, fewer than the {prompts} prompts of a step"
        this.progress.say(f"{this.source.name} holds {few}: each gets more rollouts, so that a step has as many as ever")
    if len(empty) == len(this.source.arms):
        raise UserError(f'{this.source.name} holds no training task at all. Give some lines "split": "train".')


def say_short(this: Run, step: int, samples: Sequence[Sample], kept: Sequence[Sample]) -> None:
    """Say, once for each, that a step came out smaller than asked for, or empty."""
    recipe, groups = this.recipe, len({s.group for s in kept})
    gate = f"data={describe(recipe.data)} left {groups} of {len({s.group for s in samples})} groups"
    if not samples:
        said = f"teach={describe(recipe.teach)} chose nothing"
    elif not kept:
        said = f"{gate}, so this step learns nothing; the run goes on"
    elif recipe.refills and groups < recipe.prompts:
        said = f"{gate} after {recipe.refills} refills, where {recipe.prompts} were asked for; the step goes on with those"
    else:
        return
    kind = said.split(" ")[0] + str(bool(kept))
    if kind not in this.reported:
        this.reported.add(kind)
        this.progress.say(f"step {step}: {said}. Said once.")


def close_round(this: Run, step: int, rounds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Measure the round on the validation stream, then keep its weights or go back to the accepted ones."""
    number = len(rounds)
    before = this.store.evaluation(max(r["round"] for r in rounds if r["accepted"]), "validation")
    assert before is not None
    after = measure(this, "validation", step, number)
    decision = this.recipe.guard(before, after)
    this.store.add_decision(number, decision)
    if decision.accepted:
        this.lessons.evaluations.append(after)
        save(this, Position("loop", step, number, accepted="this"), wait=False)
        refer(this)
    else:
        last = this.store.last_commit()
        assert last is not None and last.accepted is not None
        load_checkpoint(this, last.accepted)
        save(this, Position("loop", step, number, accepted="back"), write=False)
    this.progress.advance(0, accuracy=(after if decision.accepted else before).accuracy)
    this.progress.say(f"round {number}: held-out {after.accuracy:.1%}, {decision.reason}")
    return [*rounds, {"round": number, "accepted": decision.accepted, "accuracy": after.accuracy, "n": after.n}]


def describe_step(samples: Sequence[Sample]) -> dict[str, Any]:
    """What a person and the doctor want to know of a step's rollouts. Shares are of all rollouts, or of all groups."""
    scored = [s for s in samples if s.verdict.reward is not None]
    rewards: dict[int, list[float]] = defaultdict(list)
    for s in scored:
        rewards[s.group].append(float(s.verdict.reward or 0.0))
    n = max(len(samples), 1)
    return {
        "rollouts": len(samples),
        "tokens": sum(s.rollout.n_sampled for s in samples),
        "reward": sum(sum(r) for r in rewards.values()) / max(len(scored), 1),
        "correct": sum(s.verdict.correct for s in scored) / max(len(scored), 1),
        "silent": sum(len(set(r)) <= 1 for r in rewards.values()) / max(len(rewards), 1),
        "truncated": sum(s.rollout.stop == "length" for s in samples) / n,
        "malformed": sum(s.verdict.outcome == "malformed" for s in samples) / n,
        "timeout": sum(s.verdict.outcome == "timeout" for s in samples) / n,
        "unscorable": sum(s.verdict.outcome == "unscorable" for s in samples) / n,
    }
