"""Rollouts of earlier versions, each with the log-probabilities that it was sampled with: ReMix (arXiv 2507.06892)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sharpen.core import Sample, Tableau
from sharpen.data import keep_all
from sharpen.objectives import policy_gradient
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor


def with_earlier(
    samples: Sequence[Sample],
    share: float = 0.4,
    steps: int = 2,
    until: float = 0.25,
    *,
    progress: float,
    buffer: list[Sample],
    rng: np.random.Generator,
) -> list[Sample]:
    """`keep_all`, but each group is, with probability `share`, another one from the buffer of the last `steps` steps.

    until   share of the budget after which nothing is replaced any more, and the buffer is emptied
    """
    fresh = keep_all(samples)
    if progress >= until or not share:
        buffer.clear()
        return fresh
    stored: dict[tuple[int, int], list[Sample]] = {}
    for sample in buffer:
        stored.setdefault((sample.rollout.version, sample.group), []).append(sample)
    groups = list(stored.values())
    kept = []
    for number in sorted({s.group for s in fresh}):
        old = groups[int(rng.integers(len(groups)))] if groups and rng.random() < share else None
        # Two draws of one stored group stay two groups: each is compared within itself.
        kept += [s for s in fresh if s.group == number] if old is None else [replace(s, group=number) for s in old]
    buffer += fresh
    newest = sorted({s.rollout.version for s in buffer})[-steps:]
    buffer[:] = [s for s in buffer if s.rollout.version in newest]
    return kept


def remix(clip: float = 0.2, kl: float = 0.01, until: float = 0.25, *, progress: float) -> Tableau:
    """GRPO on rollouts of this and earlier versions, held to two policies by a convex sum of KLs (KL-convex).

    clip    half-width of the trust region, which lies around the policy before the step
    kl      weight of the sum; 0: none
    until   share of the budget by which the sum's half has moved from the policy that the loop began with to the policy
            before the step
    """
    share = max(1 - 0.5 * progress / until, 0.5) if until else 0.5
    base = replace(policy_gradient.grpo(), clip=partial(moving_trust_region, width=clip), before=True)
    return replace(base, extra=partial(convex_pull, weight=kl, share=share), reference="start") if kl else base


def moving_trust_region(rows: Rows, ratio: Tensor, width: float) -> Tensor:
    """PPO's clip with the ratio of the policy before the step in its middle: at that policy nothing is clipped."""
    assert rows.before is not None
    limit = policy_gradient.LOG_RATIO_LIMIT
    centre = (rows.before - rows.sampling).clamp(-limit, limit).exp()
    return policy_gradient.within(rows, ratio, centre - width, centre + width)


def convex_pull(rows: Rows, weight: float, share: float) -> Tensor:
    """Minus the gradient of weight * (share * k2 to the reference + (1 - share) * k2 to the policy before the step).

    k2 is half the squared log-ratio; on the policy's own tokens its mean gradient is that of KL(policy || other).
    """
    assert rows.reference is not None and rows.before is not None
    return -weight * (share * (rows.logp - rows.reference) + (1 - share) * (rows.logp - rows.before))
