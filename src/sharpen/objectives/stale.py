"""Learning from what an older policy wrote: the correction is one factor, the trust region another (decoupled PPO).

    gradient of  E over the old policy's tokens of  w * f(pi / pi_before),   w = min(pi_before / pi_old, most)

f is the objective's own ratio and clip, around the policy before the step's first update, so that its trust region is where the
learner is and not where the writer was. w turns the old policy's tokens into the present one's, and is truncated, so that a
token which the old policy hardly ever wrote has no huge weight. Hilton et al., arXiv 2110.00641, section 3; AReaL, arXiv
2505.24298, section 5.2; the truncation is that of arXiv 1802.01561, section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sharpen.core import Tableau
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor

MOST = 2.0  # largest weight of a token


def decoupled(tableau: Tableau, most: float = MOST, once: bool = False) -> Tableau:
    """The objective for a batch that older policies wrote. On one that the present policy wrote it is the objective itself.

    once  the batch is learnt from in one update: then the policy before the step is the one being trained, and what it says is
          not computed twice

    One that reads `before` knows of older policies itself, and is left alone. What does not go through the ratio (`extra`, a
    penalty, a value head) is left as it is. Tokens that nobody drew, such as worked solutions, have weight 1.
    """

    if tableau.before:
        return tableau

    ratio, clip = partial(weighed, inner=tableau.ratio, most=most), partial(near_clip, inner=tableau.clip, most=most)
    return replace(tableau, ratio=ratio, clip=clip, before=not once)


def weighed(rows: Rows, inner: Callable[[Rows], Tensor], most: float) -> Tensor:
    """The objective's own ratio, around the policy before the step, times the weight."""
    return inner(near(rows)) * weight(rows, most)


def near_clip(rows: Rows, ratio: Tensor, inner: Callable[[Rows, Tensor], Tensor], most: float) -> Tensor:
    """The objective's own clip, of the ratio that it knows."""
    return inner(near(rows), ratio / weight(rows, most))


def near(rows: Rows) -> Rows:
    """The rows as if the policy before the step had written them."""
    import torch

    return replace(rows, sampling=torch.where(rows.sampling == 0, rows.sampling, before(rows)))


def weight(rows: Rows, most: float = MOST) -> Tensor:
    """(R, T) min(pi_before / pi_old, most); 1 where nobody drew the token."""
    import torch

    drawn = (rows.sampling != 0) & ~rows.forced
    return torch.where(drawn, (before(rows) - rows.sampling).exp().clamp(max=most), 1.0)


def before(rows: Rows) -> Tensor:
    """(R, T) log-probabilities under the policy before the step's first update, which the first update is trained from."""
    return rows.logp if rows.before is None else rows.before
