"""Practice: a curriculum is asked, what it chose is rolled out and judged, and what came out smaller than asked for is said."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sharpen import curriculum
from sharpen.core import Arm, Choices, Policy, Rollout, RolloutGenerator, Sample, Task, UserError
from sharpen.curriculum import trainable
from sharpen.data import shuffled
from sharpen.hashing import derive
from sharpen.loop.offers import Moment
from sharpen.loop.session import Run
from sharpen.models import LocalPolicy
from sharpen.recipe import Recipe, describe
from sharpen.rollouts import drive, hints

RECENT = 0.95  # of what an arm's rollouts said, for every step since
MOST = 4  # times `samples` that one group may get beyond the early ones

LAST = 2**31  # a step that no run comes to


def choose(moment: Moment, refill: int, prompts: int, first: int) -> list[tuple[Task, int]]:
    """Ask the curriculum for prompts: tasks, and how many rollouts each gets. `first` is the first one's group number."""
    this, step = moment.this, moment.step
    recipe, seed, source = this.recipe, this.seed, this.source
    rng = np.random.default_rng(derive(seed, step, "teach", *([refill] if refill else [])))
    if this.state.attempts and not refill and not this.ahead:
        this.state.attempts.numbers.clear()
    arms = trainable(source)
    choices = checked(moment.ask("curriculum", this.store.history(), arms, prompts, recipe.samples, rng), recipe)
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
                f"curriculum={describe(recipe.curriculum)} chose {what!r} with {n!r} rollouts. A curriculum returns "
                "pairs of an Arm or a Task and a whole number from 0."
            )
    return [(what, int(n)) for what, n in choices if n]


def try_out(moment: Moment, chosen: Sequence[tuple[Task, int]], first: int) -> list[Sample]:
    """Roll out each task as often as it is to be, and judge. With `early`, that many of each first, and the others where they
    may still mix a group."""
    this, recipe = moment.this, moment.this.recipe
    if recipe.early:
        samples = rolled(moment, [(task, min(n, recipe.early)) for task, n in chosen], first)
        more = further(this, chosen, samples, first)
        samples += rolled(moment, [(task, n) for (task, _), n in zip(chosen, more, strict=True)], first, recipe.early)
        samples.sort(key=lambda sample: sample.group)
    else:
        samples = rolled(moment, chosen, first)
    samples = dealt_anew(moment, samples, first)
    this.grown.observe(samples)
    return samples


def dealt_anew(moment: Moment, samples: list[Sample], first: int) -> list[Sample]:
    """With `shuffled`, the verdicts among the answers to each task."""
    this = moment.this
    if not this.recipe.shuffled:
        return samples
    return shuffled(samples, np.random.default_rng(derive(this.seed, moment.step, "shuffle", first)))


def further(this: Run, chosen: Sequence[tuple[Task, int]], samples: Sequence[Sample], first: int) -> list[int]:
    """How many rollouts each of these tasks gets beyond the early ones, of those that were meant for all of them."""
    right, tried = np.zeros((2, len(chosen)))
    for sample in samples:
        if sample.verdict.reward is not None:
            tried[sample.group - first] += 1
            right[sample.group - first] += sample.verdict.correct
    history = this.store.history()
    prior = np.array([curriculum.posterior(history.get(task.arm, ()), keep=RECENT) for task, _ in chosen]).reshape(-1, 2)
    left = sum(max(n - this.recipe.early, 0) for _, n in chosen)
    return curriculum.undecided(right, tried, prior, left, MOST * this.recipe.samples).tolist()


def rolled(moment: Moment, chosen: Sequence[tuple[Task, int]], first: int, done: int = 0) -> list[Sample]:
    """Judged rollouts of each task, so many; `done` were made before. `first` is the first task's group number."""
    this, step = moment.this, moment.step
    with this.timed("generate", step):
        rollouts = generated(moment, moment.bound("rollout"), chosen, first, this.policy, done)
    with this.timed("verify", step):
        return this.judges.judge(rollouts, groups_of(chosen, first))


def groups_of(chosen: Sequence[tuple[Task, int]], first: int) -> list[int]:
    """The group of each rollout."""
    return [first + i for i, (_, n) in enumerate(chosen) for _ in range(n)]


def generated(
    moment: Moment,
    roll_out: Callable[..., RolloutGenerator],
    chosen: Sequence[tuple[Task, int]],
    first: int,
    policy: Policy,
    done: int = 0,
    roles: Mapping[str, Any] | None = None,
) -> list[Rollout]:
    """The rollouts of what was chosen, by this policy; their judging is begun. `done` of each task were made before."""
    this, step = moment.this, moment.step
    recipe = this.recipe
    return drive(
        policy,
        roll_out,
        [task for task, n in chosen for _ in range(n)],
        [f"s{step:06d}.{first + i:03d}.{done + j:03d}" for i, (_, n) in enumerate(chosen) for j in range(n)],
        seed=derive(this.seed, step, "rollout"),
        max_tokens=recipe.max_tokens,
        sampling=recipe.sampling,
        finished=this.judges.begin,
        roles=this.roles if roles is None else roles,
        asking=this.asking,
    )


def practise(moment: Moment, refill: int, missing: int, first: int) -> tuple[Sequence[tuple[Task, int]], list[Sample]]:
    """What the step tries, and the judged rollouts: made now, or, of a run that is ahead of its learner, asked for earlier.

    What a step is refilled with is made now.
    """
    this, step = moment.this, moment.step
    if this.ahead is None or refill:
        if this.ahead:
            this.ahead.settle()
        with this.timed("curriculum", step):
            chosen = choose(moment, refill, missing, first)
        return chosen, try_out(moment, chosen, first)
    for later in range(step, min(step + this.ahead.k, last_step(this)) + 1):
        own = replace(moment, step=later, made={})
        rolls = partial(rolled_out, own, own.bound("rollout"), apart(this.roles))
        this.ahead.ask(this, later, step, partial(choose, own, 0, missing, 0), rolls)
    with this.timed("generate", step):
        found = this.ahead.take(step, this.policy.tick)
    this.grown.observe(found[1])
    return found


def rolled_out(
    moment: Moment,
    roll_out: Callable[..., RolloutGenerator],
    roles: Mapping[str, Any],
    policy: Policy,
    chosen: Sequence[tuple[Task, int]],
) -> list[Sample]:
    """What was chosen for a step to come, rolled out and judged, maybe in a thread beside the learner."""
    rollouts = generated(moment, roll_out, chosen, 0, policy, roles=roles)
    return dealt_anew(moment, moment.this.judges.judge(rollouts, groups_of(chosen, 0)), 0)


def apart(roles: Mapping[str, Any]) -> dict[str, Any]:
    """Who stands behind roles, each remembering beginnings by himself: another thread may ask the same ones."""
    return {name: copy.copy(role) if isinstance(role, LocalPolicy) else role for name, role in roles.items()}


def last_step(this: Run) -> int:
    """The last step for which rollouts are worth asking."""
    return this.at.step + int(this.budget.amount) - 1 if this.budget.kind == "steps" else LAST


def say_missing(this: Run) -> None:
    """Tell the user of arms without training tasks, which are left out, and of a pool that is smaller than a step."""
    if never := hints.unfading(this.recipe.rollout):
        this.progress.say(never)
    empty = sorted(set(this.source.arms) - set(trainable(this.source)))
    if empty:
        left = "they are measured, not practised" if len(empty) > 1 else "it is measured, not practised"
        this.progress.say(f"no training tasks in {', '.join(map(str, empty))}: {left}")
    attempts, prompts = this.state.attempts, this.recipe.prompts
    if attempts and len(attempts) < prompts:
        few = f"{len(attempts)} training tasks, fewer than the {prompts} prompts of a step"
        this.progress.say(f"{this.source.name} holds {few}: each gets more rollouts, so that a step has as many as ever")
    if len(empty) == len(this.source.arms):
        raise UserError(f'{this.source.name} holds no training task at all. Give some lines "split": "train".')


def say_short(this: Run, step: int, samples: Sequence[Sample], kept: Sequence[Sample]) -> None:
    """Say, once for each, that a step came out smaller than asked for, or empty."""
    recipe, groups = this.recipe, len({s.group for s in kept})
    gate = f"select={describe(recipe.select)} left {groups} of {len({s.group for s in samples})} groups"
    if not samples:
        said = f"curriculum={describe(recipe.curriculum)} chose nothing"
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
