"""What curricula share: fair shares of a step, and what is kept of one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from sharpen.core import Arm, ArmStats, Batch, Choices, Sample, UserError
from sharpen.curriculum.attempts import Attempts
from sharpen.data import keep_all
from sharpen.objectives import advantage

History = Mapping[Arm, Sequence[ArmStats]]


def spread(
    arms: Sequence[Arm],
    weights: Sequence[float] | np.ndarray,
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    floor: float = 0.0,
) -> Choices:
    """Prompts in proportion to the weights, but a share `floor` of them over all arms evenly. Weights that are all 0 say that
    no arm stands out: then everything is spread evenly.

    Raises UserError where a weight is negative or not a number, and unless 0 <= floor <= 1.
    """
    if not 0 <= floor <= 1:
        raise UserError(f"floor={floor}: this is a share, from 0 to 1.")
    weight = finite(arms, weights)
    share = weight / weight.sum() if weight.sum() > 0 else np.full(len(arms), 1 / len(arms))
    return [(arm, samples) for arm in draw(arms, (1 - floor) * share + floor / len(arms), prompts, rng)]


def draw(arms: Sequence[Arm], weights: Sequence[float] | np.ndarray, prompts: int, rng: np.random.Generator) -> list[Arm]:
    """An arm for each prompt, in proportion to the weights; each arm gets its expected number, rounded up or down at random.

    Raises UserError where a weight is negative or not a number, or where all are 0.
    """
    weight = finite(arms, weights)
    if weight.sum() == 0:
        raise UserError("all weights of the arms are 0, so no arm can be drawn. Give one a weight above 0, or set a floor.")
    edges = np.cumsum(weight / weight.sum())
    points = (rng.random() + np.arange(prompts)) / max(prompts, 1)
    # The last edge can be 1 - 1e-16, and a point may lie beyond it.
    index = np.minimum(np.searchsorted(edges, points, side="right"), np.flatnonzero(weight)[-1])
    return [arms[i] for i in index]


def finite(arms: Sequence[Arm], weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weights as float64. UserError that names the arms whose weight is negative or not a number."""
    weight = np.asarray(weights, dtype=np.float64)
    bad = [f"{arm} has {w}" for arm, w in zip(arms, weight, strict=True) if not (0 <= w < math.inf)]
    if bad:
        raise UserError(
            f"weights of arms must be finite and at least 0: {', '.join(bad[:5])}. No step was taken on them; mend the "
            "curriculum, then resume the run."
        )
    return weight


def softmax(values: np.ndarray, temperature: float) -> np.ndarray:
    """exp(values / temperature), scaled so that the largest is 1; for an infinite temperature all are 1."""
    if not temperature > 0:
        raise UserError(f"temperature={temperature}: this must be more than 0.")
    return np.exp((values - values.max()) / temperature)


def lowest(keys: np.ndarray, n: int) -> np.ndarray:
    """Indices of the n smallest keys, smallest first; all of them where there are fewer. O(N), not O(N log N)."""
    n = min(n, len(keys))
    found = np.argpartition(keys, n - 1)[:n] if n < len(keys) else np.arange(len(keys))
    return found[np.argsort(keys[found], kind="stable")]


def weighted(weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n different indices, each draw in proportion to the weights of what is left; those of weight 0 never.

    Exponential keys divided by weights, smallest first: Efraimidis and Spirakis 2006. UserError where a weight is no number.
    """
    if not np.isfinite(weights).all() or weights.min(initial=0.0) < 0:
        raise UserError(f"weights of tasks must be finite and at least 0: task {int(np.argmin(weights >= 0))} has another.")
    with np.errstate(divide="ignore"):
        keys = rng.exponential(size=len(weights)) / weights
    return lowest(keys, min(n, int(np.count_nonzero(weights))))


def dealt(attempts: Attempts, numbers: np.ndarray, total: int, *, weights: np.ndarray | None = None, low: int = 1) -> Choices:
    """The tasks with `total` rollouts between them, evenly or in proportion to the weights, each at least `low`."""
    quota = allot(np.ones(len(numbers)) if weights is None else weights, total, low)
    return [(attempts.draw(int(number)), int(n)) for number, n in zip(numbers, quota, strict=True)]


def allot(weights: np.ndarray, total: int, low: int = 1) -> np.ndarray:
    """(M,) whole numbers of sum `total`: `low` each (fewer, where there is not enough), the rest in proportion to the weights.

    Shares are rounded by largest remainder, the first of equal ones first. Weights that are all 0 count as equal. None of no
    tasks. Raises UserError where a weight is negative or no number.
    """
    m = len(weights)
    if not m:
        return np.zeros(0, int)
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise UserError(f"rollouts are allotted by weights that are finite and at least 0, got {weights[:5]}")
    low = min(low, total // m)
    weights = weights if weights.sum() > 0 else np.ones(m)
    ideal = (total - low * m) * weights / weights.sum()
    given = np.floor(ideal + 1e-9).astype(int)
    given[np.argsort(given - ideal, kind="stable")[: total - low * m - given.sum()]] += 1
    return given + low


def in_order(arms: Sequence[Arm]) -> list[Arm]:
    if not arms:
        raise UserError("a curriculum has nothing to choose from: the task source has no arms; check --tasks")
    return sorted(arms)


def statistics(step: int, samples: Sequence[Sample]) -> list[ArmStats]:
    """What a curriculum may know of a step: one entry for each arm tried, sorted, from the step's judged samples.

    |advantage| is the group-normalised one whatever the objective: under SFT every advantage is 1, which would say nothing
    of what there is to learn. Unscorable samples count only with their tokens. Pass the samples as judged, before `data`
    has selected among them.
    """
    scored = keep_all(samples)
    reward = np.array([s.verdict.reward for s in scored], dtype=np.float64)
    group = np.array([s.group for s in scored], dtype=np.int64)
    nothing = np.zeros((len(scored), 0))
    batch = Batch(nothing, nothing, nothing, reward, group, weight=np.ones(len(scored)), lengths=np.zeros(len(scored)))
    size = np.abs(advantage.normalised(batch))
    tokens: Counter[Arm] = Counter()
    for s in samples:
        tokens[s.rollout.task.arm] += s.rollout.n_sampled
    rows: dict[Arm, list[int]] = {arm: [] for arm in sorted(tokens)}
    for i, s in enumerate(scored):
        rows[s.rollout.task.arm].append(i)
    right = {arm: sum(scored[i].verdict.correct for i in own) for arm, own in rows.items()}
    return [ArmStats(step, arm, len(own), right[arm], float(size[own].sum()), tokens[arm]) for arm, own in rows.items()]


def posterior(history: Sequence[ArmStats], keep: float = 1.0) -> tuple[float, float]:
    """Parameters (a, b) of the Beta posterior of an arm's success rate, from a flat prior; its mean is a / (a + b).

    `keep` forgets: a step's counts are multiplied by `keep` for every later step in the history. (1, 1) without history.
    """
    age = np.arange(len(history))[::-1]
    weight = keep ** age.astype(np.float64)
    a = 1 + float(sum(w * s.successes for w, s in zip(weight, history, strict=True)))
    b = 1 + float(sum(w * (s.n - s.successes) for w, s in zip(weight, history, strict=True)))
    return a, b
