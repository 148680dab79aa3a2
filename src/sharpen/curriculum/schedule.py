"""Curricula that follow a plan: every arm alike, or from easy to hard by the clock or by success."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, Evaluation, UserError
from sharpen.curriculum import skills
from sharpen.curriculum.attempts import rungs
from sharpen.curriculum.common import History, in_order, spread


def uniform(history: History, arms: Sequence[Arm], prompts: int, samples: int, rng: np.random.Generator) -> Choices:
    """Every arm equally often; the prompts left over go to different arms, drawn at random. History is not read."""
    order = in_order(arms)
    each, left = divmod(prompts, len(order))
    chosen = order * each + [order[i] for i in rng.permutation(len(order))[:left]]
    return [(arm, samples) for arm in chosen]


def ladder(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    until: float = 0.8,
    review: float = 0.1,
    *,
    progress: float,
) -> Choices:
    """Easy to hard by the clock: every family climbs from its first level to its last, one after another, whatever it learns.

    until   share of the budget after which every family practises all of its levels, 0 < until <= 1
    review  share of the prompts spread over all arms evenly, 0 to 1
    """
    if not 0 < until <= 1:
        raise UserError(f"until={until}: this is a share of the budget, above 0 and at most 1.")
    order = in_order(arms)
    rung = np.array(rungs(order))
    top = {arm.family: r for arm, r in zip(order, rung, strict=True)}
    height = np.array([top[arm.family] + 1 for arm in order])
    now = np.minimum((progress / until * height).astype(int), height - 1)
    return spread(order, (rung == now) if progress < until else np.ones(len(order)), prompts, samples, rng, review)


def threshold_ladder(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    up: float = 0.7,
    down: float = 0.3,
    steps: int = 10,
    review: float = 0.1,
) -> Choices:
    """A family climbs one level once it is solved often enough, and steps down where it fails (reasoning-gym's trainer).

    The level that a family is on is the one that most of its rollouts in its last `steps` steps went to. The next level is due
    where more than `up` of those succeeded, the one before where fewer than `down` did, and neither before there are that many
    steps. Their trainer looks at a window of the same kind, 10 steps long, with the same thresholds.
    """
    if not (0 <= down <= up <= 1 and steps >= 1):
        raise UserError(f"threshold_ladder needs 0 <= down <= up <= 1 and steps >= 1, got {down}, {up}, {steps}")
    order = in_order(arms)
    weights = np.zeros(len(order))
    for family in sorted({arm.family for arm in order}):
        levels = [i for i, arm in enumerate(order) if arm.family == family]
        place = _rung(history, [order[i] for i in levels], up, down, steps)
        weights[levels[place]] = 1.0
    return spread(order, weights, prompts, samples, rng, review)


def _rung(history: History, levels: Sequence[Arm], up: float, down: float, steps: int) -> int:
    """Which of a family's levels is next."""
    newest = sorted({s.step for arm in levels for s in history.get(arm, ())})[-steps:]
    if not newest:
        return 0
    recent = [[s for s in history.get(arm, ()) if s.step >= newest[0]] for arm in levels]
    n = [sum(s.n for s in stats) for stats in recent]
    now = max(range(len(levels)), key=lambda place: (n[place], place))
    if len(newest) == steps and n[now]:
        rate = sum(s.successes for s in recent[now]) / n[now]
        now += (rate > up) - (rate < down)
    return min(max(now, 0), len(levels) - 1)


def adaptive_order(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    batches: int = 5,
    review: float = 0.1,
    *,
    progress: float,
    evaluations: Sequence[Evaluation],
) -> Choices:
    """ADCL (arXiv 2505.08364): sort by the base model's failures, cut into `batches`, and sort each again when its turn comes.

    The base model's success is that of the first evaluation; the present one's is the skill map's. An arm's turn is a share
    of the budget as long as any other's.
    """
    if batches < 1:
        raise UserError(f"batches={batches}: this must be at least 1.")
    order = in_order(arms)
    skill = skills.skill_map(evaluations, order)
    first = {arm: skill[arm].mean if np.isnan(skill[arm].first) else skill[arm].first for arm in order}
    easy_first = sorted(order, key=lambda arm: -first[arm])  # stable, so equal ones stay in order
    turn = min(int(progress * len(order)), len(order) - 1)
    cuts = [round(i * len(order) / batches) for i in range(batches + 1)]
    start, end = next((a, b) for a, b in zip(cuts, cuts[1:], strict=False) if a <= turn < b)
    batch = sorted(easy_first[start:end], key=lambda arm: -skill[arm].mean)
    chosen = batch[turn - start]
    return spread(order, [float(arm == chosen) for arm in order], prompts, samples, rng, review)
