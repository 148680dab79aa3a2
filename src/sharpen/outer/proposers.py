"""Who chooses the next point of a space: chance, Optuna's samplers, the knowledge gradient, evolution strategies.

A proposer is a function of (space, what was tried, seed, number): the same history gives the same point, so that a search that
was killed goes on as it would have gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpen.core import UserError
from sharpen.hashing import derive
from sharpen.outer import acquisition, strategies
from sharpen.outer.history import History
from sharpen.outer.space import Space, point, values

INSTALL = "pip install 'sharpen[tune]'"
FIRST = 5  # points at random before a model of the scores is worth anything
DRAWN = 128  # points among which an acquisition chooses


@dataclass(frozen=True)
class Tried:
    """Points (N, K) of the cube and their scores (N,), in the order in which they were proposed."""

    points: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


Proposer = Callable[[Space, Tried, int, int], np.ndarray]


def tried(space: Space, history: History) -> Tried:
    """What is known of a space. Scores of lower rungs are shifted by what the rung's own members gained where they went on; a
    candidate that failed stands as low as the worst."""
    scores = history.scores()
    known = {number: lifted(history, number) for number in scores}
    worst = min(known.values(), default=0.0)
    listed = [c for c in history.candidates if c.number in known or c.number in history.failed]
    points = [point(space, {k: v for k, v in c.values.items() if k in {knob.name for knob in space}}) for c in listed]
    shape = (len(listed), len(space))
    return Tried(np.array(points).reshape(shape), np.array([known.get(c.number, worst) for c in listed]))


def lifted(history: History, number: int) -> float:
    """A candidate's score as if it had come to the highest rung: each step up adds the mean gain of those that made it."""
    score = history.scores()[number]
    value = score.value
    levels = sorted({s.rung for s in history.scores().values()})
    for low, high in zip(levels, levels[1:]):
        if low >= score.rung:
            below, above = history.scores(low), history.scores(high)
            gains = [above[n].value - below[n].value for n in above if n in below]
            value += float(np.mean(gains)) if gains else 0.0
    return value


def at_random(space: Space, known: Tried, seed: int, number: int) -> np.ndarray:
    """Anywhere."""
    return np.random.default_rng(derive(seed, number, "outer", 0)).random(len(space))


def by_tpe(space: Space, known: Tried, seed: int, number: int) -> np.ndarray:
    """Expected improvement as a ratio of densities: Optuna's TPESampler (Bergstra et al. 2011)."""
    return _optuna("TPESampler", {"n_startup_trials": FIRST, "multivariate": True}, space, known, seed, number)


def by_gp(space: Space, known: Tried, seed: int, number: int) -> np.ndarray:
    """Logarithmic expected improvement of a Gaussian process with Matern 5/2: Optuna's GPSampler. It takes scores for noisy."""
    return _optuna("GPSampler", {"n_startup_trials": FIRST, "deterministic_objective": False}, space, known, seed, number)


def by_kg(space: Space, known: Tried, seed: int, number: int) -> np.ndarray:
    """The knowledge gradient (acquisition.py): what tells most about where the best is, itself the best or not."""
    if len(known) < FIRST:
        return at_random(space, known, seed, number)
    process, places = _drawn(space, known, seed, number)
    mean, covariance = process.at(places)
    return places[int(np.argmax(acquisition.knowledge_gradient(mean, covariance, process.noise * process.scale**2)))]


def by_ei(space: Space, known: Tried, seed: int, number: int) -> np.ndarray:
    """Expected improvement over the highest posterior mean, of our own process: what `gp` is without Optuna."""
    if len(known) < FIRST:
        return at_random(space, known, seed, number)
    process, places = _drawn(space, known, seed, number)
    mean, covariance = process.at(places)
    best = float(process.at(known.points)[0].max())
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
    return places[int(np.argmax(acquisition.expected_improvement(mean, deviation, best)))]


def by_es(space: Space, known: Tried, seed: int, number: int) -> np.ndarray:
    """Antithetic pairs about a mean that moves by their ranks (strategies.py)."""
    return strategies.following(known.scores, len(space), seed, number)


PROPOSERS: Mapping[str, Proposer] = {
    "gp": by_gp,
    "tpe": by_tpe,
    "kg": by_kg,
    "ei": by_ei,
    "es": by_es,
    "random": at_random,
}


def _drawn(space: Space, known: Tried, seed: int, number: int) -> tuple[acquisition.Process, np.ndarray]:
    """A process of what is known, and points to choose from: half anywhere, half near the three best. All are places that a
    setting can have: what a knob rounds to the same value is one place."""
    rng = np.random.default_rng(derive(seed, number, "outer", 1))
    near = known.points[np.argsort(-known.scores, kind="stable")[:3]]
    half = DRAWN // 2
    moved = near[rng.integers(len(near), size=half)] + 0.1 * rng.normal(size=(half, len(space)))
    places = np.concatenate([rng.random((DRAWN - half, len(space))), np.clip(moved, 0, 1)])
    return acquisition.fit(known.points, known.scores), np.array([point(space, values(space, place)) for place in places])


def _require() -> None:
    """UserError where Optuna, or what its Gaussian process needs and does not name, is not installed."""
    import importlib.util

    there = {"optuna": importlib.util.find_spec("optuna"), "scipy": importlib.util.find_spec("scipy")}
    if missing := [package for package, found in there.items() if found is None]:
        raise UserError(
            f"Bayesian optimisation needs {' and '.join(missing)}: {INSTALL}. Or take --by kg, which needs nothing."
        )


def _optuna(name: str, options: dict[str, Any], space: Space, known: Tried, seed: int, number: int) -> np.ndarray:
    """The point that one of Optuna's samplers asks for, of a study that holds what is known. UserError where it is missing."""
    _require()
    import warnings

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = getattr(optuna.samplers, name)(seed=derive(seed, number, "outer", 2) % 2**32, **options)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        ranges = {knob.name: _distribution(optuna, knob) for knob in space}
        for place, score in zip(known.points, known.scores):
            params = {k.name: (k.value(x) if k.options else float(x)) for k, x in zip(space, place)}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=ranges, value=float(score)))
        asked = study.ask(ranges).params
    return np.array([k.place(asked[k.name]) if k.options else asked[k.name] for k in space])


def _distribution(optuna: Any, knob: Any) -> Any:
    """Numbers are Optuna's as places of the cube, where they are even; words are words."""
    distributions = optuna.distributions
    return distributions.CategoricalDistribution(knob.options) if knob.options else distributions.FloatDistribution(0.0, 1.0)


def chosen(by: str) -> Proposer:
    """The proposer of that name. UserError for none such."""
    if by not in PROPOSERS:
        raise UserError(f"--by {by}: there is no such proposer. There are: {', '.join([*PROPOSERS, 'role'])}.")
    if by in ("gp", "tpe"):
        _require()  # before the first trial is paid for
    return PROPOSERS[by]


def names() -> Sequence[str]:
    return (*PROPOSERS, "role")
