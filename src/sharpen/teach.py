"""Curricula: which arms the next step's prompts come from.

A curriculum is a pure function (history, arms, prompts, samples, rng) -> [(arm, rollouts), …] with one entry for each prompt.

1. `history` maps an arm to its latest `ArmStats`, oldest first; arms never tried may be missing. Only training rollouts are
   in it: validation results never reach a curriculum.
2. The same history, arms and generator state give the same answer, and the order in which arms are listed does not matter.
3. No arms, or knobs out of range, raise UserError; statistics that are not numbers raise ValueError and name the arm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sharpen import advantage
from sharpen.core import Arm, ArmStats, Batch, Sample, UserError
from sharpen.data import keep_all

History = Mapping[Arm, Sequence[ArmStats]]


def uniform(
    history: History, arms: Sequence[Arm], prompts: int, samples: int, rng: np.random.Generator
) -> list[tuple[Arm, int]]:
    """Every arm equally often; the prompts left over go to different arms, drawn at random. History is not read."""
    order = _sorted(arms)
    each, left = divmod(prompts, len(order))
    chosen = order * each + [order[i] for i in rng.permutation(len(order))[:left]]
    return [(arm, samples) for arm in chosen]


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
) -> list[tuple[Arm, int]]:
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
    order = _sorted(arms)
    if not (0 < alpha <= 1 and 0 < temperature < math.inf and 0 <= floor <= 1 and math.isfinite(initial)):
        raise UserError(
            f"sec needs 0 < alpha <= 1, temperature > 0, 0 <= floor <= 1 and a finite initial, "
            f"got alpha={alpha}, temperature={temperature}, floor={floor}, initial={initial}"
        )
    value = values(history, order, alpha, initial)
    weight = np.exp((value - value.max()) / temperature)
    share = (1 - floor) * weight / weight.sum() + floor / len(order)
    return [(arm, samples) for arm in draw(order, share, prompts, rng)]


def draw(arms: Sequence[Arm], weights: Sequence[float] | np.ndarray, prompts: int, rng: np.random.Generator) -> list[Arm]:
    """An arm for each prompt, in proportion to the weights; each arm gets its expected number, rounded up or down at random.

    Raises ValueError where a weight is negative or not a number, or where all are 0.
    """
    weight = np.asarray(weights, dtype=np.float64)
    bad = [str(arm) for arm, w in zip(arms, weight, strict=True) if not (0 <= w < math.inf)]
    if bad or weight.sum() == 0:
        raise ValueError(f"weights must be finite, at least 0 and not all 0: {', '.join(bad) or 'all of them are 0'}")
    edges = np.cumsum(weight / weight.sum())
    points = (rng.random() + np.arange(prompts)) / max(prompts, 1)
    # The last edge can be 1 - 1e-16, and a point may lie beyond it.
    index = np.minimum(np.searchsorted(edges, points, side="right"), np.flatnonzero(weight)[-1])
    return [arms[i] for i in index]


def _sorted(arms: Sequence[Arm]) -> list[Arm]:
    if not arms:
        raise UserError("a curriculum has nothing to choose from: the task source has no arms; check --tasks")
    return sorted(arms)


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
    arms = [s.rollout.task.arm for s in scored]
    found = []
    for arm in sorted({s.rollout.task.arm for s in samples}):
        rows = [i for i, a in enumerate(arms) if a == arm]
        successes = sum(scored[i].verdict.correct for i in rows)
        tokens = sum(s.rollout.n_sampled for s in samples if s.rollout.task.arm == arm)
        found.append(ArmStats(step, arm, len(rows), successes, float(size[rows].sum()), tokens))
    return found


def posterior(history: Sequence[ArmStats], keep: float = 1.0) -> tuple[float, float]:
    """Parameters (a, b) of the Beta posterior of an arm's success rate, from a flat prior; its mean is a / (a + b).

    `keep` forgets: a step's counts are multiplied by `keep` for every later step in the history. (1, 1) without history.
    """
    age = np.arange(len(history))[::-1]
    weight = keep ** age.astype(np.float64)
    a = 1 + float(sum(w * s.successes for w, s in zip(weight, history, strict=True)))
    b = 1 + float(sum(w * (s.n - s.successes) for w, s in zip(weight, history, strict=True)))
    return a, b


def interval(successes: float, n: int) -> tuple[float, float]:
    """95 % confidence interval of a success rate: Wilson's score interval. (0, 1) for n = 0.

    Unlike the textbook interval it is not of width zero at 0 or n successes. Raises ValueError outside 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n, got {successes} of {n}")
    if n == 0:
        return 0.0, 1.0
    z2 = 1.959963984540054**2
    middle = (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    return max(middle - half, 0.0), min(middle + half, 1.0)  # rounding may step 1e-17 outside
