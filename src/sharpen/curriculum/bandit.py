"""Curricula that treat arms as a bandit: what an arm's own training rollouts say of it decides how often it is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sharpen.core import Arm, ArmStats, Choices, Evaluation, UserError
from sharpen.curriculum import skills
from sharpen.curriculum.common import History, in_order, softmax, spread


def sec(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    alpha: float = 0.3,
    temperature: float = 0.2,
    initial: float = 1.0,
    floor: float = 0.0,
) -> Choices:
    """Self-evolving curriculum (arXiv 2505.14970): go where the gradient is.

    The value Q of an arm is a running mean of R = mean |advantage| of its rollouts, Q ← alpha R + (1 - alpha) Q over the
    steps that tried it; arms are drawn in proportion to exp(Q / temperature). With group-normalised advantages and a binary
    reward R peaks at 1 where half of the tries succeed and is 0 where all or none do.

    alpha        weight of the newest step, 0 < alpha <= 1
    temperature  > 0; near 0 takes the best arm only, large is uniform. As Q is at most 1, a temperature of 1 is nearly
                 uniform: the best arm then gets at most e times the worst
    initial      Q of an arm never tried. The paper's is 0; the default is the largest R there is, so that every arm is
                 tried early and loses its place only on evidence
    floor        share of the prompts spread over all arms evenly, 0 to 1. The paper's is 0; above 0, arms that were
                 mastered, or out of reach, are looked at again however large Q / temperature becomes elsewhere

    Each arm gets its expected number of prompts rounded up or down (systematic sampling, where the paper draws prompts
    independently: same expectation, less noise).

    An arm solved too rarely for a group to hold a success looks like one out of reach. Where practice on other arms carries
    over, that is where it should wait; where nothing carries over, `uniform` gets to it sooner.
    """
    order = in_order(arms)
    if not (0 < alpha <= 1 and 0 < temperature < math.inf and 0 <= floor <= 1 and math.isfinite(initial)):
        raise UserError(
            f"sec needs 0 < alpha <= 1, temperature > 0, 0 <= floor <= 1 and a finite initial, "
            f"got alpha={alpha}, temperature={temperature}, floor={floor}, initial={initial}"
        )
    value = values(history, order, alpha, initial)
    return spread(order, softmax(value, temperature), prompts, samples, rng, floor)


def values(history: History, arms: Sequence[Arm], alpha: float, initial: float) -> np.ndarray:
    """Q of each arm as `sec` sees it: running mean of mean |advantage|, starting from `initial`."""
    found = []
    for arm in arms:
        value = initial
        for stats in history.get(arm, ()):
            if not math.isfinite(stats.abs_advantage):
                raise ValueError(f"abs_advantage of arm {arm} at step {stats.step} is {stats.abs_advantage}")
            if stats.n:  # a step in which every rollout was unscorable says nothing
                value += alpha * (stats.abs_advantage / stats.n - value)
        found.append(value)
    return np.array(found)


def dump(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    window: int = 300,
    temperature: float = 0.1,
    explore: float = 1.0,
    floor: float = 0.0,
    *,
    totals: Mapping[Arm, int],
) -> Choices:
    """DUMP (arXiv 2504.09710): an upper confidence bound on what an arm has to teach.

    An arm's value is the mean |advantage| of its latest `window` rollouts (0 before the first) plus
    explore * sqrt(2 ln(N + 1) / (n + 1)), with n all of its rollouts so far and N everybody's; arms are drawn in proportion to
    exp(value / temperature).

    At N = 0 all are alike. The bonus of an arm that is left alone grows with sqrt(ln N), so that none is given up for good.
    """
    if window < 1 or explore < 0:
        raise UserError(f"dump needs window >= 1 and explore >= 0, got {window}, {explore}")
    order = in_order(arms)
    n = np.array([totals.get(arm, 0) for arm in order], dtype=float)
    learnable = np.array([_windowed(history.get(arm, ()), window) for arm in order])
    bound = learnable + explore * np.sqrt(2 * np.log(n.sum() + 1) / (n + 1))
    return spread(order, softmax(bound, temperature), prompts, samples, rng, floor)


def _windowed(stats: Sequence[ArmStats], window: int) -> float:
    """Mean |advantage| of the latest `window` rollouts; of the oldest step that is needed, the share that still counts."""
    left, total = float(window), 0.0
    for s in reversed(stats):
        part = min(left, s.n)
        if part:
            total += s.abs_advantage * part / s.n
        left -= part
    return total / (window - left) if left < window else 0.0


def learning_progress(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    window: int = 20,
    floor: float = 0.2,
) -> Choices:
    """Absolute learning progress: go where success changes, for better or worse (Baranes and Oudeyer 2013; CURIOUS 2019).

    The progress of an arm is |success in the newer half - in the older half| of its latest `window` steps; arms are drawn in
    proportion to it. What is mastered, or hopeless, does not change; what is being forgotten does. `floor` is how changes are
    noticed at all: the share that goes to every arm alike. Where nothing changes, all does.
    """
    if window < 2:
        raise UserError(f"window={window}: two halves need at least 2 steps.")
    order = in_order(arms)
    return spread(order, [_progress(history.get(arm, ())[-window:]) for arm in order], prompts, samples, rng, floor)


def _progress(stats: Sequence[ArmStats]) -> float:
    half = len(stats) // 2
    older, newer = stats[:half], stats[half:]
    n = [sum(s.n for s in part) for part in (older, newer)]
    if not all(n):
        return 0.0
    return abs(sum(s.successes for s in newer) / n[1] - sum(s.successes for s in older) / n[0])


def thompson(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    keep: float = 0.5,
    strength: float = 4.0,
    floor: float = 0.1,
    *,
    evaluations: Sequence[Evaluation],
) -> Choices:
    """Thompson sampling over the skill map: each prompt goes to the arm that might well have the most to learn from.

    For each prompt a success rate p of every arm is drawn from its posterior (skills.py, which explains `keep` and `strength`),
    and the arm with the largest p (1 - p) is taken. So an arm is tried as often as it is likely to be the best one: what is
    measured badly is tried more, what is surely mastered or surely hopeless only by its share of `floor`.
    """
    order = in_order(arms)
    skill = skills.skill_map(evaluations, order, keep, strength)
    p = rng.beta([skill[arm].a for arm in order], [skill[arm].b for arm in order], size=(prompts, len(order)))
    wins = np.bincount((p * (1 - p)).argmax(axis=1), minlength=len(order))
    return spread(order, wins, prompts, samples, rng, floor)
