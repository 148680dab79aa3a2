"""How the same tasks came out before and after a round: the paired changes of each arm, and the numbers of a decision."""

from __future__ import annotations

import math

import numpy as np

from sharpen.core import Arm, Evaluation


def changes_between(before: Evaluation, after: Evaluation) -> dict[Arm, np.ndarray]:
    """For each arm that has tasks judged both times, (n,) of +1 newly solved, -1 no longer solved, 0 unchanged."""
    if set(before.correct) != set(after.correct):
        odd = sorted(set(before.correct) ^ set(after.correct))
        raise ValueError(f"the two evaluations differ in arms: {', '.join(map(str, odd))}")
    changes = {}
    for arm in sorted(before.correct):
        old, new = before.correct[arm], after.correct[arm]
        if len(old) != len(new):
            raise ValueError(f"the two evaluations differ in tasks: {arm} has {len(old)} before and {len(new)} after")
        pairs = [(was, now) for was, now in zip(old, new) if was is not None and now is not None]
        if pairs:
            changes[arm] = np.array([float(now) - float(was) for was, now in pairs])
    if not changes:
        raise ValueError("the evaluations hold no tasks, so there is nothing to decide on")
    return changes


def standard_error(difference: np.ndarray) -> float:
    """Of the mean paired difference if nothing had changed (McNemar): sqrt(tasks that changed) / tasks."""
    return math.sqrt(float(np.abs(difference).sum())) / len(difference)


def numbers_of(changes: dict[Arm, np.ndarray]) -> dict[str, float]:
    means = [float(d.mean()) for d in changes.values()]
    errors = [standard_error(d) for d in changes.values()]
    return {
        "mean": sum(means) / len(means),
        "standard_error": math.sqrt(sum(e * e for e in errors)) / len(errors),
        "worst": min(means),
        "worst_z": min(m / e if e else 0.0 for m, e in zip(means, errors, strict=True)),
        "arms": float(len(changes)),
        "tasks": float(sum(len(d) for d in changes.values())),
    }
