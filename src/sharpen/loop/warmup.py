"""Warm-up: supervised learning on worked solutions of the easier levels, until the student solves something now and then.

Worked solutions are tasks that are answered for the student (`rollouts.demonstrate`), so they are verified, stored and learnt
from like its own answers. The hardest level of a family is never among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from sharpen import rollouts
from sharpen.core import GREEDY, Arm, NotFinite, Sample, plural
from sharpen.data import make_batch
from sharpen.hashing import derive, digest
from sharpen.loop import worked
from sharpen.loop.learning import refused
from sharpen.loop.session import Run, save
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe, identity
from sharpen.store import Position

# What has no part in a run until its first learning step. A slot or number that is not named here counts as having one.
LATER = (
    *("curriculum", "select", "objective", "guard", "control", "prompts", "samples", "replay", "refills", "pool"),
    *("shuffled", "replay_focus", "replay_half_life", "adapt", "early"),
    *("lr", "lr_end", "passes", "minibatches", "roles", "temperature", "top_k", "top_p", "min_p", "round_steps", "budget"),
    *("grow", "grow_limit", "grow_tries", "unreadable_limit", "retention", "retain"),
)
RAMP = 20  # steps over which a learning rate rises to its value …
RISE = 0.1  # … or the share of the budget of the loop, where that has fewer than two hundred steps
LOOK, LOOKED = 25, 128  # steps between two looks at whether a warm-up is enough, and questions of each


def signature(recipe: Recipe, seed: int) -> str:
    """Sixteen hex digits: two recipes with the same ones are the same run until the first learning step.

    That is: the same student, tasks, verifier and warm-up, and the same evaluations before the loop.
    """
    return digest([seed, beginning(recipe)])


def beginning(recipe: Recipe) -> dict[str, str]:
    """What has a part in a run before its first learning step, by name of slot or number."""
    parts = {f.name: identity(getattr(recipe, f.name)) for f in fields(recipe) if f.name not in LATER}
    return parts | {"rollout": identity(rollouts.unaided(rollouts.within(recipe.rollout)))}


def warm_up(this: Run, step: int, interrupted: Callable[[], bool]) -> int:
    """SFT on worked solutions of the easier levels. Returns the number of steps done."""
    recipe = this.recipe
    if recipe.warmup_steps == 0:
        return 0
    arms = worked.warm_up_arms(this)
    this.progress.phase("warm-up", total=recipe.warmup_steps, done=step)
    shown = past_demonstrations(this) if step and recipe.warmup_demos else {}
    while step < recipe.warmup_steps:
        with this.timed("warmup", step):
            rows = demonstrations(this, arms, step, shown)
            lr = recipe.warmup_lr * ramp(step) * cosine(step / recipe.warmup_steps)
            batch = make_batch(rows)
            try:
                stats = this.policy.update(batch, policy_gradient.sft(), lr)
            except NotFinite as error:
                raise refused(this, step, rows, batch, error, "warmup_lr", Position("warmup", step, 0)) from error
            step += 1
            this.policy.version = step
        this.store.add_batch(step - 1, rows)
        this.store.add_step(step - 1, "warmup", 0, {**stats, "lr": lr, "rollouts": len(rows)})
        this.progress.advance(1)
        if recipe.warmup_until and step % LOOK == 0 and enough(this, arms, step):
            this.policy.version = step = recipe.warmup_steps
        if interrupted():
            save(this, Position("warmup", step, 0))
            raise KeyboardInterrupt
        if this.due():
            save(this, Position("warmup", step, 0), wait=False)
    return step


def enough(this: Run, arms: Sequence[Arm], step: int) -> bool:
    """Whether the student answers as many new training questions of these arms right, in one greedy attempt, as
    `warmup_until` wants."""
    drawn = [this.source.draw(arms[i % len(arms)], "train", i, derive(this.seed, "looks", step)) for i in range(LOOKED)]
    ids = [f"look.{step:08d}.{i:04d}" for i in range(LOOKED)]
    how: dict[str, Any] = dict(seed=this.seed, sampling=GREEDY, roles=this.roles, asking=this.asking)
    made = rollouts.drive(this.policy, rollouts.single, drawn, ids, max_tokens=this.recipe.max_tokens, **how)
    right = sum(sample.verdict.correct for sample in this.judges.judge(made, range(len(made)))) / LOOKED
    if right >= this.recipe.warmup_until:
        this.progress.say(
            f"the warm-up ends after {plural(step, 'step')}: {right:.0%} of new questions are answered right at once"
        )
    return right >= this.recipe.warmup_until


def demonstrations(this: Run, arms: Sequence[Arm], step: int, shown: dict[tuple[Arm, int], Sample]) -> list[Sample]:
    """The rows of one step: arms in turn, each with one of its `warmup_demos` worked solutions, verified like an answer.

    `shown` keeps the finite ones. Worked solutions that the verifier does not call correct are left out.
    """
    recipe, first = this.recipe, step * this.recipe.warmup_rows
    wanted = []
    for number in range(first, first + recipe.warmup_rows):
        wanted.append((arms[number % len(arms)], worked.index(this, number)))
    new = [key for key in dict.fromkeys(wanted) if key not in shown]
    drawn = [worked.task(this, arm, index) for arm, index in new]
    ids = [f"demo.{arm}.{index:08d}" for arm, index in new]
    demonstrated = rollouts.demonstrating(recipe.rollout)
    made = rollouts.drive(
        this.policy,
        demonstrated,
        drawn,
        ids,
        seed=this.seed,
        max_tokens=0,
        sampling=GREEDY,
        roles=this.roles,
        asking=this.asking,
    )
    samples = this.judges.judge(made, range(len(made)))
    this.store.add_samples("warmup", step, 0, samples)
    known = shown | dict(zip(new, samples, strict=True))
    if recipe.warmup_demos:
        shown.update(known)
    return [known[key] for key in wanted if known[key].verdict.correct]


def past_demonstrations(this: Run) -> dict[tuple[Arm, int], Sample]:
    """What earlier processes of this run have shown, by the name that `demonstrations` gave it."""
    found = {}
    for sample in this.store.read_rollouts("warmup"):
        _, arm, index = sample.rollout.id.split(".")
        found[Arm.parse(arm), int(index)] = sample
    return found


def ramp(step: int, spent: float = 0.0) -> float:
    """The share of a learning rate that its rise has reached: all of it after RAMP steps, or RISE of the budget."""
    return min(1.0, max((step + 1) / RAMP, spent / RISE))


def cosine(share: float, floor: float = 0.1) -> float:
    return floor + (1 - floor) * 0.5 * (1 + float(np.cos(np.pi * share)))
