"""XLand's comparison of two agents: success on every task as a share of the best that is known, and no percentile may fall."""

from __future__ import annotations

import numpy as np

from sharpen.core import Arm, Decision, Evaluation

AT = (10, 20, 30, 40, 50)


def percentiles(before: Evaluation, after: Evaluation, slack: float = 0.0) -> Decision:
    """Better where no percentile of normalised success over arms fell by more than `slack` and one rose; worse where none rose
    and one fell; else unclear (arXiv 2107.12808, section 5).

    So a peak on a few arms does not pay for arms that are lost, which a mean would let pass. An arm counts as a share of the
    better of the two evaluations, one that neither solved not at all. With few tasks an arm the lowest percentiles are noisy.
    """
    arms = sorted(set(before.counts) & set(after.counts))
    old, new = (np.array([share(e, arm) for arm in arms]) for e in (before, after))
    top = np.maximum(old, new)
    numbers = {"mean": float((new - old).mean()) if arms else 0.0}
    if not top.any():
        return Decision("unclear", "no arm was solved, before or after", numbers)
    was, now = (np.percentile(e[top > 0] / top[top > 0], AT) for e in (old, new))
    change = now - was
    numbers |= {f"p{at}": float(c) for at, c in zip(AT, change, strict=True)}
    fell, rose = bool((change < -slack - 1e-12).any()), bool((change > slack + 1e-12).any())
    answer = "unclear" if fell == rose else "better" if rose else "worse"
    told = ", ".join(f"{c:+.0%}" for c in change)
    return Decision(answer, f"{answer}: the 10th to 50th percentiles of normalised success changed by {told}", numbers)


def share(evaluation: Evaluation, arm: Arm) -> float:
    right, judged = evaluation.counts.get(arm, (0, 0))
    return right / judged if judged else 0.0
