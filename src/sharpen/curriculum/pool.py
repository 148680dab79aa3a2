"""Curricula over single tasks: which of the pool come next (attempts.py). Each decision is a few passes over dense arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, Evaluation, UserError
from sharpen.curriculum import skills
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, dealt, lowest, weighted
from sharpen.estimate import Z


def epochs(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    *,
    attempts: Attempts,
) -> Choices:
    """Every task once, in random order, then all of them again: the least visited first. What most trainers do."""
    return dealt(attempts, lowest(attempts.visits + rng.random(len(attempts)), prompts), prompts * samples)


def views(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    views: int = 4,
    *,
    attempts: Attempts,
) -> Choices:
    """Replay by recall interval (view-batch, arXiv 2503.18371): fewer tasks a step, each `views` times as often.

    So a task comes back after `views` times as many steps, and the rollouts of a step are as many as ever. At views = 1 these
    are `epochs`.
    """
    if views < 1:
        raise UserError(f"views={views}: this must be at least 1.")
    fewest = lowest(attempts.visits + rng.random(len(attempts)), max(prompts // views, 1))
    return dealt(attempts, fewest, prompts * samples)


def cyclical(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    smallest: float = 0.25,
    largest: float = 1.0,
    factor: float = 0.5,
    *,
    attempts: Attempts,
    evaluations: Sequence[Evaluation],
) -> Choices:
    """Cyclical curriculum (arXiv 2202.05531): passes over subsets whose size swings between `smallest` and `largest`.

    A pass of size S goes once through S * N tasks, drawn without replacement in proportion to 1 / loss. The loss of a task is
    -log of its arm's success in the first evaluation, before any practice: it never changes.
    """
    if not (0 < smallest <= largest <= 1 and 0 < factor < 1):
        raise UserError(f"cyclical needs 0 < smallest <= largest <= 1 and 0 < factor < 1, got {smallest}, {largest}, {factor}")
    number, begun, size = _pass(attempts.taken, len(attempts), smallest, largest, factor)
    first = skills.skill_map(evaluations[:1], attempts.arms)
    loss = np.repeat([-math.log(first[arm].mean) for arm in attempts.arms], np.diff(attempts.starts))
    # The same order in every step of a pass; which tasks the numbers stand for, the run's seed decides.
    keys = np.random.default_rng(number).exponential(size=len(attempts)) * np.maximum(loss, 1e-3)
    place = attempts.taken - begun
    return dealt(attempts, lowest(keys, min(place + prompts, size))[place:], prompts * samples)


def sizes(smallest: float, largest: float, factor: float) -> list[float]:
    """One cycle of the sizes of passes: up from the smallest to the largest, and down again."""
    cycle = [smallest]
    while cycle[-1] < largest:
        cycle.append(min(cycle[-1] / factor, largest))
    while cycle[-1] * factor > smallest:
        cycle.append(cycle[-1] * factor)
    return cycle


def _pass(taken: int, tasks: int, smallest: float, largest: float, factor: float) -> tuple[int, int, int]:
    """The pass that the next prompt lies in: its number, the prompts taken when it began, and its size in tasks."""
    cycle = [max(round(size * tasks), 1) for size in sizes(smallest, largest, factor)]
    cycles, rest = divmod(taken, sum(cycle))
    ends = np.cumsum(cycle)
    place = int(np.searchsorted(ends, rest, side="right"))
    return cycles * len(cycle) + place, int(cycles * ends[-1] + ends[place] - cycle[place]), cycle[place]


def retrospective(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    phases: int = 2,
    back: float = 0.25,
    *,
    progress: float,
    attempts: Attempts,
) -> Choices:
    """QwenLong-L1 (arXiv 2505.17667): phases of growing levels, each with the hardest tasks of those before.

    Phase k of `phases`, each as long, takes the k-th part of every family's levels, least visited first. A share `back` of its
    prompts are tasks of earlier phases, drawn in proportion to 1 / r, r being the success rate when the task was first tried,
    at least 1 / (2 * samples): one never solved counts twice what one solved once does.
    """
    if phases < 1 or not 0 <= back <= 1:
        raise UserError(f"retrospective needs phases >= 1 and 0 <= back <= 1, got {phases}, {back}")
    family = np.array([arm.family for arm in attempts.arms])
    place = attempts.level[attempts.starts[:-1]].astype(int)
    height = np.array([place[family == f].max() + 1 for f in family])
    phase = np.repeat(place * phases // height, np.diff(attempts.starts))
    return with_hardest(attempts, phase, min(int(progress * phases), int(phase.max())), back, prompts, samples, rng)


def with_hardest(
    attempts: Attempts, phase: np.ndarray, now: int, back: float, prompts: int, samples: int, rng: np.random.Generator
) -> Choices:
    """Tasks of the phase `now`, (N,) phases of the pool being given, and a share `back` of earlier ones by 1 / first
    success."""
    first = np.maximum(np.nan_to_num(attempts.first, nan=np.inf), 1 / (2 * samples))
    old = weighted(np.where(phase < now, 1 / first, 0.0), round(back * prompts), rng)
    new = lowest(np.where(phase == now, attempts.visits + rng.random(len(attempts)), np.inf), prompts - len(old))
    return dealt(attempts, np.concatenate([old, new[phase[new] == now]]), prompts * samples)


def recovered(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    share: float = 0.25,
    window: int = 10,
    *,
    attempts: Attempts,
) -> Choices:
    """Recent sample recovery (Confucius3-Math, arXiv 2506.18330, whose abstract names it; the rule is ours): a share of the
    prompts are tasks of the last `window` steps that still teach, solved in some of their latest tries and not in all; the
    others are the least visited. The hardest of those that teach come first. share=0: `epochs`."""
    if not (0 <= share <= 1 and window >= 1):
        raise UserError(f"recovered needs 0 <= share <= 1 and window >= 1, got {share}, {window}")
    late = (attempts.seen > attempts.newest - window) & (attempts.latest > 0) & (attempts.latest < 1)
    keys = np.where(late, attempts.latest + 1e-6 * rng.random(len(attempts)), np.inf)
    old = lowest(keys, min(round(share * prompts), int(late.sum())))
    rest = attempts.visits + rng.random(len(attempts))
    rest[old] = np.inf
    new = lowest(rest, prompts - len(old))
    return dealt(attempts, np.concatenate([old, new[np.isfinite(rest[new])]]), prompts * samples)


def pools(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    easy: float = 0.8,
    hard: float = 0.2,
    easy_weight: float = 0.1,
    hard_weight: float = 0.3,
    *,
    attempts: Attempts,
) -> Choices:
    """Difficulty pools (prime-rl): tasks of the easy and of the hard pool are drawn less often than all others.

    A task is easy where its success rate is above `easy`, hard where it is below `hard`, with 97.5 % certainty by Wilson's
    interval on its faded counts; one that was never tried counts like any other. So one lucky group moves nobody, and what was
    mastered long ago is uncertain again once it is tried and fails.
    """
    if not (0 <= hard < easy <= 1 and min(easy_weight, hard_weight) >= 0):
        raise UserError(f"pools needs 0 <= hard < easy <= 1 and weights of at least 0, got {hard}, {easy}")
    n, right = attempts.faded
    middle, spread = (right + Z**2 / 2) / (n + Z**2), Z * np.sqrt(_variance(n, right) + Z**2 / 4) / (n + Z**2)
    weights = np.where(middle - spread > easy, easy_weight, np.where(middle + spread < hard, hard_weight, 1.0))
    return dealt(attempts, weighted(weights, prompts, rng), prompts * samples)


def _variance(n: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.divide(right * (n - right), n, out=np.zeros_like(n), where=n > 0)
