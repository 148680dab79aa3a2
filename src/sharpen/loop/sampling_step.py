"""Practice: a curriculum is asked, what it chose is rolled out and judged, and what came out smaller than asked for is said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, Sample, Task, UserError
from sharpen.curriculum import trainable
from sharpen.data import shuffled
from sharpen.hashing import derive
from sharpen.loop.offers import Moment
from sharpen.loop.session import Run
from sharpen.recipe import Recipe, describe
from sharpen.rollouts import drive


def choose(moment: Moment, refill: int, prompts: int, first: int) -> list[tuple[Task, int]]:
    """Ask the curriculum for prompts: tasks, and how many rollouts each gets. `first` is the first one's group number."""
    this, step = moment.this, moment.step
    recipe, seed, source = this.recipe, this.seed, this.source
    rng = np.random.default_rng(derive(seed, step, "teach", *([refill] if refill else [])))
    if this.state.attempts and not refill:
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
    """Roll out each task as often as it is to be, and judge."""
    this, step = moment.this, moment.step
    recipe = this.recipe
    groups = [first + i for i, (_, n) in enumerate(chosen) for _ in range(n)]
    ids = [f"s{step:06d}.{first + i:03d}.{j:03d}" for i, (_, n) in enumerate(chosen) for j in range(n)]
    with this.timed("generate", step):
        rollouts = drive(
            this.policy,
            moment.bound("rollout"),
            [task for task, n in chosen for _ in range(n)],
            ids,
            seed=derive(this.seed, step, "rollout"),
            max_tokens=recipe.max_tokens,
            sampling=recipe.sampling,
            finished=this.judges.begin,
            roles=this.roles,
            asking=this.asking,
        )
    with this.timed("verify", step):
        samples = this.judges.judge(rollouts, groups)
        if recipe.shuffled:
            samples = shuffled(samples, np.random.default_rng(derive(this.seed, step, "shuffle", first)))
    this.grown.observe(samples)
    return samples


def say_missing(this: Run) -> None:
    """Tell the user of arms without training tasks, which are left out, and of a pool that is smaller than a step."""
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
