"""ALP-GMM: Gaussian mixtures over task parameters and the learning progress seen there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

import numpy as np

from sharpen.core import Arm, Choices, UserError
from sharpen.curriculum.common import History, in_order

# Weights (K,), means (K, D), covariances (K, D, D).
Mixture = tuple[np.ndarray, np.ndarray, np.ndarray]

JITTER = 1e-4  # on the diagonal of a covariance: points that repeat a few levels span no volume


def family_and_level(arms: Sequence[Arm]) -> np.ndarray:
    """(A, 2): the number of the family and the level. Families have no order, so they are put ten levels apart."""
    families = sorted({arm.family for arm in arms})
    return np.array([(10.0 * families.index(arm.family), arm.level) for arm in arms])


def alp_gmm(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    fit_every: int = 250,
    components: int = 10,
    explore: float = 0.2,
    place: Callable[[Sequence[Arm]], np.ndarray] = family_and_level,
    *,
    kept: dict[str, np.ndarray],
) -> Choices:
    """ALP-GMM (arXiv 1910.07224): draw task parameters where a mixture of Gaussians saw success change.

    An observation is one arm in one step: its place x and its success r. Its progress is |r - r of the nearest earlier
    observation|. Each `fit_every` observations, mixtures of 2 to `components` Gaussians are fitted to the last `fit_every`
    points (x, progress) and the one of the best AIC is kept. A share `explore` of the prompts is uniform; each other one draws
    a component in proportion to its mean progress, a place from it, and takes the arm nearest to that place.
    """
    if fit_every < 2 or components < 2 or not 0 <= explore <= 1:
        raise UserError(
            f"alp_gmm needs fit_every and components >= 2 and 0 <= explore <= 1: {fit_every}, {components}, {explore}"
        )
    order = in_order(arms)
    where = scaled(place(order))
    observe(kept, history, order, fit_every)
    if int(kept["new"][0]) >= fit_every:
        points = np.column_stack([where[kept["arm"].astype(int)], kept["progress"]])
        kept["weight"], kept["mean"], kept["covariance"] = best_mixture(points, components, rng)
        kept["new"] = np.zeros(1, np.int64)
    chosen = rng.integers(len(order), size=prompts)
    if "mean" in kept:
        directed = rng.random(prompts) >= explore
        drawn = sampled((kept["weight"], kept["mean"], kept["covariance"]), int(directed.sum()), rng)
        chosen[directed] = [int(np.argmin(((where - x) ** 2).sum(axis=1))) for x in drawn]
    return [(order[i], samples) for i in chosen]


def scaled(places: np.ndarray) -> np.ndarray:
    """Each coordinate from 0 to 1."""
    span = places.max(axis=0) - places.min(axis=0)
    return (places - places.min(axis=0)) / np.where(span > 0, span, 1.0)


def observe(kept: dict[str, np.ndarray], history: History, order: Sequence[Arm], window: int) -> None:
    """Append the observations of the steps since the last call. `kept` holds the last `window` of them, and each arm's rate.

    With arms for parameters the nearest earlier observation is the same arm's, at distance 0; the first of an arm is no
    progress.
    """
    if not kept:
        kept.update(arm=np.zeros(0), progress=np.zeros(0), new=np.zeros(1, np.int64), step=np.full(1, -1, np.int64))
        kept["rate"] = np.full(len(order), np.nan)
    renumber(kept, order)
    since = int(kept["step"][0])
    found = sorted((s.step, i, s) for i, arm in enumerate(order) for s in history.get(arm, ()) if s.step > since and s.n)
    progress = []
    for _, i, s in found:
        rate, last = s.successes / s.n, kept["rate"][i]
        progress.append(0.0 if math.isnan(last) else abs(rate - last))
        kept["rate"][i] = rate
    if found:
        kept["step"] = np.array([found[-1][0]], np.int64)
    kept["arm"] = np.concatenate([kept["arm"], [i for _, i, _ in found]])[-window:]
    kept["progress"] = np.concatenate([kept["progress"], progress])[-window:]
    kept["new"] = kept["new"] + len(found)


def renumber(kept: dict[str, np.ndarray], order: Sequence[Arm]) -> None:
    """Arms that have grown since the last call stand between the others: what is kept by an arm's number follows the arm."""
    names = np.frombuffer(json.dumps([str(arm) for arm in order]).encode(), np.uint8)
    if "names" in kept and not np.array_equal(kept["names"], names):
        place = {str(arm): i for i, arm in enumerate(order)}
        moved = np.array([place[name] for name in json.loads(kept["names"].tobytes())])
        rate = np.full(len(order), np.nan)
        rate[moved] = kept["rate"]
        kept["rate"], kept["arm"] = rate, moved[kept["arm"].astype(int)].astype(float)
    kept["names"] = names


def sampled(mixture: Mixture, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, D - 1) places: a component in proportion to its mean progress (all alike where none has any), then a point of it."""
    _, mean, covariance = mixture
    progress = np.maximum(mean[:, -1], 0.0)
    share = progress / progress.sum() if progress.sum() > 0 else np.full(len(mean), 1 / len(mean))
    parts = rng.choice(len(mean), size=n, p=share)
    roots = np.linalg.cholesky(covariance[:, :-1, :-1])
    noise = rng.standard_normal((n, mean.shape[1] - 1))
    return np.clip(mean[parts, :-1] + np.einsum("nij,nj->ni", roots[parts], noise), 0.0, 1.0)


def best_mixture(points: np.ndarray, components: int, rng: np.random.Generator) -> Mixture:
    """The mixture of 2 to `components` Gaussians with the lowest AIC, 2 * parameters - 2 * log-likelihood."""
    d = points.shape[1]
    best, lowest = None, math.inf
    for k in range(2, components + 1):
        mixture, likelihood = fit_mixture(points, k, rng)
        aic = 2 * (k * (1 + d + d * (d + 1) / 2) - 1) - 2 * likelihood
        if aic < lowest:
            best, lowest = mixture, aic
    assert best is not None
    return best


def fit_mixture(points: np.ndarray, k: int, rng: np.random.Generator, steps: int = 50) -> tuple[Mixture, float]:
    """Expectation maximisation from k different points. Returns the mixture and the log-likelihood of the points, (N, D)."""
    n, d = points.shape
    mean = points[rng.choice(n, size=k, replace=n < k)]
    covariance = np.repeat((np.cov(points.T).reshape(d, d) + JITTER * np.eye(d))[None], k, axis=0)
    weight = np.full(k, 1 / k)
    before = -math.inf
    for _ in range(steps):
        joint = np.log(weight) + _log_densities(points, mean, covariance)  # (N, K)
        top = joint.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(joint - top).sum(axis=1))
        share = np.exp(joint - total[:, None])
        if total.sum() - before < 1e-4 * n:
            break
        before = total.sum()
        mass = share.sum(axis=0) + 1e-9
        weight, mean = mass / mass.sum(), (share.T @ points) / mass[:, None]
        away = points[:, None] - mean
        covariance = np.einsum("nk,nki,nkj->kij", share, away, away) / mass[:, None, None] + JITTER * np.eye(d)
    return (weight, mean, covariance), float(total.sum())


def _log_densities(points: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """(N, K) log-density of each point under each Gaussian."""
    root = np.linalg.cholesky(covariance)
    away = np.linalg.solve(root, (points[:, None] - mean).transpose(1, 2, 0))  # (K, D, N)
    volume = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return (-0.5 * (away**2).sum(axis=1) - volume[:, None] - 0.5 * points.shape[1] * math.log(2 * math.pi)).T
