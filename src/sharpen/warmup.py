"""Warm-up: supervised learning on worked solutions of the easier levels, until the student solves something now and then.

Worked solutions are tasks that are answered for the student (`rollout.demonstrate`), so they are verified, stored and learnt
from like its own answers. The hardest level of a family is never among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import objective, policy, rollout
from .core import Arm, Sample, derive
from .session import Run, save
from .store import Position

COMMIT = 200  # steps between two commits
RAMP = 20  # steps over which a learning rate rises to its value


def warm_up(this: Run, step: int, interrupted: Callable[[], bool]) -> int:
    """SFT on worked solutions of the easier levels. Returns the number of steps done."""
    recipe = this.recipe
    if recipe.warmup_steps == 0:
        return 0
    arms = warm_up_arms(this)
    this.progress.phase("warm-up", total=recipe.warmup_steps, done=step)
    shown: dict[tuple[Arm, int], Sample] = {}
    while step < recipe.warmup_steps:
        with this.timed("warmup", step):
            rows = [demonstration(this, arms, step, i, shown) for i in range(recipe.warmup_rows)]
            rows = [row for row in rows if row.verdict.correct]
            lr = recipe.warmup_lr * ramp(step) * cosine(step / recipe.warmup_steps)
            stats = this.policy.update(policy.make_batch(rows), objective.sft(), lr)
            step += 1
            this.policy.version = step
        this.store.add_batch(step - 1, rows)
        this.store.add_step(step - 1, "warmup", 0, {**stats, "lr": lr, "rollouts": len(rows)})
        this.progress.advance(1)
        if interrupted() or (step % COMMIT == 0 and step < recipe.warmup_steps):
            save(this, Position("warmup", step, 0))
        if interrupted():
            raise KeyboardInterrupt
    return step


def warm_up_arms(this: Run) -> list[Arm]:
    """The easiest levels of each family that has worked solutions; never its hardest, unless it is the only one."""
    chosen = []
    for family in sorted({arm.family for arm in this.source.arms}):
        arms = sorted(arm for arm in this.source.arms if arm.family == family)
        chosen += arms[: min(this.recipe.warmup_levels, max(len(arms) - 1, 1))]
    solved = [arm for arm in chosen if this.source.draw(arm, "train", 0, this.seed).solution is not None]
    return solved or chosen


def demonstration(this: Run, arms: Sequence[Arm], step: int, i: int, shown: dict[tuple[Arm, int], Sample]) -> Sample:
    """Row i of a warm-up step: arms in turn, one of the arm's `warmup_demos` worked solutions, verified like an answer."""
    recipe, number = this.recipe, step * this.recipe.warmup_rows + i
    arm, index = arms[number % len(arms)], number
    if recipe.warmup_demos:
        index = derive(this.seed, "warmup", step, i) % recipe.warmup_demos
    if (arm, index) not in shown:
        task = this.source.draw(arm, "train", index, derive(this.seed, "demonstrations"))
        made = rollout.drive(
            this.policy,
            rollout.demonstrate,
            [task],
            [f"demo.{arm}.{index}"],
            seed=this.seed,
            max_tokens=recipe.max_tokens,
            temperature=0,
        )
        sample = rollout.judge(made, [0], recipe.verify)[0]
        this.store.add_samples("warmup", 0, 0, [sample])
        if not recipe.warmup_demos:
            return sample
        shown[arm, index] = sample
    return shown[arm, index]


def ramp(step: int) -> float:
    return min(1.0, (step + 1) / RAMP)


def cosine(share: float, floor: float = 0.1) -> float:
    return floor + (1 - floor) * 0.5 * (1 + float(np.cos(np.pi * share)))
