"""Curricula that set the mixture of arms from what the validation stream shows: per round, not per step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from sharpen.core import Arm, Choices, Evaluation, UserError
from sharpen.curriculum import skills
from sharpen.curriculum.common import History, in_order, softmax, spread


def next_level(trained: Arm, learnt: Arm) -> float:
    """The skill graph without measurements: an arm teaches itself and, one level up, what it prepares for."""
    return float(trained.family == learnt.family and 0 <= learnt.level - trained.level <= 1)


def skill_it(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    eta: float = 2.0,
    window: int = 3,
    graph: Callable[[Arm, Arm], float] = next_level,
    floor: float = 0.0,
    *,
    evaluations: Sequence[Evaluation],
) -> Choices:
    """Skill-It (arXiv 2307.14430): train on what teaches the skills that are lacking.

    The weight of arm i is exp(eta * sum over j of graph(i, j) * L_j), with L_j the mean loss of arm j over the last `window`
    evaluations; before the first, L = 1. The loss is the share not solved. With the identity as graph this is a softmax of the
    losses; with all ones it is uniform.
    """
    if window < 1 or not math.isfinite(eta):
        raise UserError(f"skill_it needs window >= 1 and a finite eta, got {window}, {eta}")
    order = in_order(arms)
    loss = np.array([1 - _mean(evaluations[-window:], arm, unknown=0.0) for arm in order])
    edges = np.array([[graph(i, j) for j in order] for i in order])
    return spread(order, softmax(eta * edges @ loss, 1.0), prompts, samples, rng, floor)


def _mean(evaluations: Sequence[Evaluation], arm: Arm, unknown: float) -> float:
    found = [s for s in (_share(e, arm) for e in evaluations) if not math.isnan(s)]
    return sum(found) / len(found) if found else unknown


def _share(evaluation: Evaluation, arm: Arm) -> float:
    """Share of the arm's tasks that were solved, NaN where none was judged."""
    right, judged = evaluation.counts.get(arm, (0, 0))
    return right / judged if judged else math.nan


def missing_skills(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    floor: float = 0.0,
    *,
    evaluations: Sequence[Evaluation],
) -> Choices:
    """STAT-Sel (arXiv 2510.10023): every question that was failed asks for training questions of the skill it misses.

    The profile is that of the newest evaluation: an arm is drawn in proportion to the number of its questions that were not
    solved. Before the first evaluation, and where all is solved, everything is drawn evenly.
    """
    order = in_order(arms)
    counts = [evaluations[-1].counts.get(arm, (0, 0)) if evaluations else (0, 0) for arm in order]
    failed = [judged - right for right, judged in counts]
    return spread(order, failed, prompts, samples, rng, floor)


def mixing(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    rehearse: float = 0.3,
    keep: float = 0.5,
    floor: float = 0.1,
    *,
    evaluations: Sequence[Evaluation],
) -> Choices:
    """A mixture of two aims: learn where the predicted gain is largest, and rehearse what has been learnt.

    A share 1 - rehearse of the prompts goes to arms in proportion to their predicted gain, the mean of p (1 - p) by the skill
    map; the share `rehearse` to arms in proportion to the best accuracy they ever reached, which no present estimate lowers.
    So what was mastered keeps its share, and what is being forgotten gets its gain on top; `floor` is for what is neither.
    """
    order = in_order(arms)
    skill = skills.skill_map(evaluations, order, keep)
    gain = np.array([skill[arm].gain for arm in order])
    best = np.array([0.0 if math.isnan(skill[arm].best) else skill[arm].best for arm in order])
    old = best / best.sum() if best.sum() else np.full(len(order), 1 / len(order))
    if not 0 <= rehearse <= 1:
        raise UserError(f"rehearse={rehearse}: this is a share, from 0 to 1.")
    return spread(order, (1 - rehearse) * gain / gain.sum() + rehearse * old, prompts, samples, rng, floor)


def outgrown(arm: Arm, done: Sequence[Arm]) -> bool:
    """Boring: a harder level of the same family is done well already."""
    return any(other.family == arm.family and other.level > arm.level for other in done)


def omni(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    rate: float = 0.1,
    threshold: float = 0.1,
    well: float = 0.8,
    boring: Callable[[Arm, Sequence[Arm]], bool] = outgrown,
    floor: float = 0.0,
    *,
    evaluations: Sequence[Evaluation],
) -> Choices:
    """OMNI (arXiv 2306.01711): learning progress times interestingness; what the language model judges there, `boring` does.

    Progress is |f(fast) - f(slow)|, fast and slow being running means (of `rate`) of the success in each evaluation and of
    that mean, and f lifting what happens near 0 (`reweighted`). Weights are the logistic function of its z-score, 0 where arms
    have neither progress nor success. Arms that are solved at least `well` often are done; taken by falling success, the harder
    of equals first, one that is `boring` given those done counts a thousandth.
    """
    order = in_order(arms)
    curve = [[s for s in (_share(e, arm) for e in evaluations) if not math.isnan(s)] for arm in order]
    progress = np.array([abs(reweighted(*means(c, rate), threshold)) for c in curve])
    success = np.array([c[-1] if c else 0.0 for c in curve])
    z = (progress - progress.mean()) / (progress.std() or 1.0)
    weight = np.where((progress > 0) | (success > 0), 1 / (1 + np.exp(-z)), 0.0)
    done: list[Arm] = []
    for i in sorted(range(len(order)), key=lambda i: (-success[i], -order[i].level, order[i])):
        if boring(order[i], done):
            weight[i] *= 0.001
        elif success[i] >= well:
            done.append(order[i])
    return spread(order, weight, prompts, samples, rng, floor)


def means(curve: Sequence[float], rate: float) -> tuple[float, float]:
    """Fast and slow running mean of a curve, both from 0."""
    fast = slow = 0.0
    for value in curve:
        fast += rate * (value - fast)
        slow += rate * (fast - slow)
    return fast, slow


def reweighted(fast: float, slow: float, threshold: float) -> float:
    """f(fast) - f(slow) with f(p) = (1 - t) p / (p + t (1 - 2 p)): at t = 0.1 the first tenth of p makes half of f."""
    return _lift(fast, threshold) - _lift(slow, threshold)


def _lift(p: float, threshold: float) -> float:
    return (1 - threshold) * p / (p + threshold * (1 - 2 * p))
