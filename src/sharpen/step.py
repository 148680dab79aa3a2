"""One step of the loop: choose tasks, roll them out, verify, select, learn, record."""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from sharpen import learning, memory, rollout, teach
from sharpen.attempts import trainable
from sharpen.batching import make_batch
from sharpen.core import Arm, Choices, Sample, Task, UserError
from sharpen.hashing import derive
from sharpen.recipe import Recipe, call, describe
from sharpen.session import Run
from sharpen.warmup import ramp


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
        kept = kept + replayed(this, step)
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


def replayed(this: Run, step: int) -> list[Sample]:
    """Earlier successes for this step's batch, each a group of its own.

    Their log-probabilities are those of an older policy: blanked, as a worked solution's are, for they would be taken for a
    mismatch between engine and trainer.
    """
    rng = np.random.default_rng(derive(this.seed, step, "replay"))
    found = []
    for i, sample in enumerate(memory.recall(this.memory, this.recipe.replay, rng)):
        old = dataclasses.replace(sample.rollout, logprobs=np.zeros_like(sample.rollout.logprobs))
        found.append(dataclasses.replace(sample, rollout=old, group=-1 - i))
    return found


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
