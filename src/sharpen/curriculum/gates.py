"""XLand's dynamic gates: a task is trained on where the student succeeds sometimes, and a policy that knows nothing does
not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, Evaluation, UserError
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, dealt, lowest, weighted


def gated(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    low: float = 0.02,
    high: float = 0.9,
    control: float = 0.8,
    fresh: float = 0.25,
    *,
    attempts: Attempts,
    evaluations: Sequence[Evaluation],
) -> Choices:
    """Open-ended learning (arXiv 2107.12808): tasks that pass the gate, and a share `fresh` of tasks that were never proposed.

    A task passes where its faded success rate lies between `low` and `high`, and the control, the student of the first
    evaluation, solved less than `control` of its arm: what is solved without training is solved by luck. Where nothing passes,
    all prompts are fresh; where nothing is fresh, the least visited come back.
    """
    if not (0 <= low <= high <= 1 and 0 <= control <= 1 and 0 <= fresh <= 1):
        raise UserError(f"gated needs 0 <= low <= high <= 1 and shares: low={low}, high={high}, {control}, {fresh}")
    luck = np.array([by_control(evaluations, arm) < control or control == 1 for arm in attempts.arms])
    n, right = attempts.faded
    rate = np.divide(right, n, out=np.zeros_like(right), where=n > 0)
    passed = (n > 0) & (rate >= low) & (rate <= high) & np.repeat(luck, np.diff(attempts.starts))
    new = round(fresh * prompts) if passed.any() else prompts
    taken = weighted(passed.astype(np.float64), prompts - new, rng)
    rest = np.setdiff1d(np.arange(len(attempts)), taken)
    more = rest[lowest(attempts.visits[rest] + rng.random(len(rest)), prompts - len(taken))]
    return dealt(attempts, np.concatenate([taken, more]).astype(np.int64), prompts * samples)


def by_control(evaluations: Sequence[Evaluation], arm: Arm) -> float:
    """Share of the arm's tasks that the first evaluation solved; 0 where it did not measure it."""
    right, judged = evaluations[0].counts.get(arm, (0, 0)) if evaluations else (0, 0)
    return right / judged if judged else 0.0
