"""CLUTR: a manifold of tasks learnt first, and a teacher that chooses a place on it in one step, paid by regret."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, UserError
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, dealt
from sharpen.curriculum.value_model import features

SMALLEST = 0.05  # deviation of the teacher in any direction: a teacher that is sure of one place learns of no other


def manifold(rows: np.ndarray, dims: int) -> np.ndarray:
    """(N, dims) places of tasks, each coordinate of mean 0 and variance 1: what the encoder of a linear variational autoencoder
    with a standard normal prior ends at, up to rotation (probabilistic PCA, Tipping and Bishop 1999). Directions in which
    nothing varies are 0."""
    centred = rows - rows.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    found = np.zeros((len(rows), dims))
    k = min(dims, int((size > 1e-9 * max(size.max(initial=0.0), 1e-300)).sum()))
    # The sign of a direction is free, and another library's may differ: the largest entry is positive.
    sign = np.sign(left[np.abs(left[:, :k]).argmax(axis=0), np.arange(k)])
    found[:, :k] = left[:, :k] * sign * np.sqrt(len(rows))
    return found


def regret(rates: np.ndarray) -> np.ndarray:
    """Best less mean reward of each group, for rewards of 0 and 1: 1 - rate where any try succeeded, else 0. The antagonist of
    PAIRED is here the best of the student's own tries."""
    return np.where(rates > 0, 1 - rates, 0.0)


def clutr(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    dims: int = 4,
    rate: float = 0.2,
    explore: float = 0.2,
    *,
    attempts: Attempts,
    kept: dict[str, np.ndarray],
) -> Choices:
    """CLUTR (arXiv 2210.10243): where on the manifold regret was large, the teacher chooses again.

    At the first step the pool is put on a manifold of its words (`manifold` of `value_model.features`). The teacher is a
    Gaussian over places, which a step moves, by `rate`, to the places that were tried, weighed by their regret; where there was
    none it goes back towards the standard normal it began as. A place that is drawn stands for the nearest task that is not
    taken yet. explore: share of the prompts that are drawn from the pool evenly.
    """
    if dims < 1 or not (0 < rate <= 1 and 0 <= explore <= 1):
        raise UserError(f"clutr needs dims >= 1, 0 < rate <= 1 and 0 <= explore <= 1, got {dims}, {rate}, {explore}")
    if len(kept.get("places", ())) != len(attempts):
        rows = np.array([attempts.of(i, features) for i in range(len(attempts))], np.float64)
        kept["places"] = manifold(rows, dims)
        kept["mean"], kept["deviation"] = np.zeros(dims), np.ones(dims)
        kept["seen"] = np.array([attempts.taken], np.int64)
    learn(kept, attempts, rate)
    places, n = kept["places"], min(prompts, len(attempts))
    free = np.ones(len(attempts), bool)
    chosen = rng.permutation(len(attempts))[: round(explore * n)].tolist()
    free[chosen] = False
    for z in kept["mean"] + kept["deviation"] * rng.standard_normal((n - len(chosen), dims)):
        far = ((places - z) ** 2).sum(axis=1) + 1e-6 * rng.random(len(places))
        nearest = int(np.where(free, far, np.inf).argmin())
        free[nearest] = False
        chosen.append(nearest)
    return dealt(attempts, np.array(chosen, np.int64), prompts * samples)


def learn(kept: dict[str, np.ndarray], attempts: Attempts, rate: float) -> None:
    """Move the teacher by what the last step showed."""
    new = attempts.taken - int(kept["seen"][0])
    if new <= 0:
        return
    kept["seen"] = np.array([attempts.taken], np.int64)
    tried = np.array(attempts.recent[-new:])
    worth, z = regret(attempts.latest[tried].astype(np.float64)), kept["places"][tried]
    mean, spread = np.zeros(z.shape[1]), np.ones(z.shape[1])
    if worth.sum() > 0:
        share = worth / worth.sum()
        mean = share @ z
        spread = np.sqrt(share @ (z - mean) ** 2)
    kept["mean"] = (1 - rate) * kept["mean"] + rate * mean
    kept["deviation"] = np.maximum((1 - rate) * kept["deviation"] + rate * spread, SMALLEST)
