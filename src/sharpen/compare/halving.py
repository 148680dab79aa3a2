"""A sweep of settings in which bad runs end early, by signs that can be read long before accuracy can.

Lower gradient norm and higher training loss early on go with a better final model (arXiv 2412.13337, abstract; the form of the
score is ours: rank of the norm less rank of the loss). A learning rate that is too low gives both signs as well: settings are
to be compared at equal samples seen, and a too low one belongs into every sweep, as the control that the rule must not keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sharpen.core import UserError


@dataclass(frozen=True)
class Early:
    """What a run shows early: means over the same number of samples seen."""

    grad_norm: float
    loss: float


@dataclass(frozen=True)
class Swept:
    """What a sweep came to. best: the setting with the highest final score among those that were run to the end; ended: after
    how many steps each of the others was; cost: steps in all, as a share of running every setting to the end."""

    best: str
    scores: Mapping[str, float]
    ended: Mapping[str, int]
    cost: float


def signs(runs: Mapping[str, Early]) -> dict[str, float]:
    """The score of each run, lower is better: rank of the gradient norm, lowest first, less rank of the loss. Ties share a
    rank."""
    names = list(runs)
    norm, loss = (ranks([getattr(runs[name], what) for name in names]) for what in ("grad_norm", "loss"))
    return {name: float(norm[i] - loss[i]) for i, name in enumerate(names)}


def ranks(values: Sequence[float]) -> np.ndarray:
    """(n,) mean ranks from 0, the lowest first. ValueError for a value that is not finite."""
    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a run without finite numbers has no rank: end it by hand")
    _, place, count = np.unique(found, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[place]


def survivors(runs: Mapping[str, Early], keep: float = 0.5, inverted: bool = False) -> list[str]:
    """The best share of the runs, at least one, in the order that they were given; `inverted` keeps the worst: a control."""
    if not 0 < keep <= 1:
        raise UserError(f"keep={keep}: this is a share of the runs, above 0 and at most 1.")
    found = signs(runs)
    order = sorted(runs, key=lambda name: -found[name] if inverted else found[name])
    chosen = set(order[: max(round(keep * len(runs)), 1)])
    return [name for name in runs if name in chosen]


def sweep(
    settings: Sequence[str],
    look: Callable[[str, int], Early],
    score: Callable[[str], float],
    rungs: Sequence[int],
    whole: int,
    keep: float = 0.5,
    inverted: bool = False,
) -> Swept:
    """Successive halving: at each of `rungs` steps the best share goes on; what is left runs to `whole`, and the best score
    wins.

    look   (setting, steps) -> what its run shows up to there; the run goes on from where it was
    score  (setting) -> its final figure, higher is better; called for those that are left, once
    No rungs: every setting runs to the end. UserError for none to sweep, and for rungs that are not in order below `whole`.
    """
    if not settings or list(rungs) != sorted(set(rungs)) or (rungs and not 0 < rungs[0] <= rungs[-1] < whole):
        raise UserError(f"a sweep needs settings, and rungs in order above 0 and below {whole}, got {list(rungs)}")
    left, ended = list(dict.fromkeys(settings)), dict[str, int]()
    steps = 0
    for before, rung in zip((0, *rungs), rungs, strict=False):
        seen = {name: look(name, rung) for name in left}
        steps += len(left) * (rung - before)
        kept = survivors(seen, keep, inverted)
        ended |= {name: rung for name in left if name not in kept}
        left = kept
    steps += len(left) * (whole - (rungs[-1] if rungs else 0))
    scores = {name: score(name) for name in left}
    best = max(left, key=lambda name: scores[name])
    return Swept(best, scores, ended, steps / (whole * len(set(settings))))
