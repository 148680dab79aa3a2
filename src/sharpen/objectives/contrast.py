"""Objectives that set more than two answers against each other: rankings, principles, and what a model itself finds likely.

    objective  rows of a group                         loss of a group
    ranked     answers to a prompt                     sum over better and worse of max(0, s(worse) - s(better) + margin), plus
    NLL mutual     n answers under each of n principles    InfoNCE over rows and over columns of log-likelihoods
    sharpened  answers to a prompt                     - mean (log base - beta (log policy - log base)), leave one out

s is the mean log-probability of an answer's tokens. All compare the rows of a group, which go through one pass.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sharpen.core import Batch, Tableau, UserError
from sharpen.objectives import advantage
from sharpen.objectives.policy_gradient import no_clip, no_ratio, sequence_sum
from sharpen.objectives.preferences import spread, tokens
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor


def each_group(batch: Batch) -> np.ndarray:
    """(B,) 1 / groups of the batch."""
    return np.full(len(batch), 1 / max(len(np.unique(batch.group)), 1))


def of_any(reference: str = "") -> Tableau:
    """A tableau whose every coefficient is in its ratio, of groups of any size."""
    return Tableau(advantage.ones, each_group, no_ratio, no_clip, reference=reference, together=True)


def pairs_of(rows: Rows) -> Tensor:
    """(R, R) True where two rows are of one group."""
    return rows.group[:, None] == rows.group[None]


# ------------------------------------------------------------------------------------------------------------- rankings


def ranked(margin: float = 0.0, nll: float = 1.0) -> Tableau:
    """RRHF (arXiv 2304.05302, equations 2 to 5): answers are as likely as they are good, and the best is imitated.

    For each pair of different rewards the loss is max(0, s(worse) - s(better) + margin); `nll` times the mean negative
    log-likelihood of the tokens of the first best answer of each group is added, where its reward is above 0. A mean over
    groups; a silent group has the second part alone.
    """
    if margin < 0 or nll < 0:
        raise UserError(f"margin={margin}, nll={nll}: a ranking needs both to be at least 0.")
    return replace(of_any(), ratio=partial(ranking, margin=margin, nll=nll))


def ranking(rows: Rows, margin: float, nll: float) -> Tensor:
    import torch

    score, reward, same = rows.logp.sum(1) / tokens(rows), rows.reward[:, 0], pairs_of(rows)
    better = same & (reward[:, None] > reward[None])  # [i, j]: i is better than j
    broken = (better & (score[None] - score[:, None] + margin > 0)).to(score.dtype)
    pull = broken.sum(1) - broken.sum(0)
    earlier = torch.arange(len(reward), device=reward.device)
    beaten = same & (
        (reward[None] > reward[:, None]) | ((reward[None] == reward[:, None]) & (earlier[None] < earlier[:, None]))
    )
    best = ~beaten.any(1) & (reward > 0)
    return spread(rows, (pull + nll * best) / tokens(rows))


# ----------------------------------------------------------------------------------------------------------- principles


def mutual(per_token: bool = True) -> Tableau:
    """SAMI (arXiv 2404.14313): the mutual information between answers and the principles they were written under, by InfoNCE.

    A group is a matrix of n * n rows, S[i, j] the log-likelihood of answer j under principle i, and the reward of row [i, j]
    its place i * n + j (`data.principles.crossed`). The loss is half of the mean cross-entropy of S's rows to the diagonal, and
    half of that of its columns: log n where answers and principles have nothing to do with each other, its largest.
    per_token: S is a mean over the answer's tokens, so that long answers decide no more than short ones.
    """
    return replace(of_any(), ratio=partial(informing, per_token=per_token))


def informing(rows: Rows, per_token: bool) -> Tensor:
    import torch

    count = tokens(rows)
    score = rows.logp.sum(1) / count if per_token else rows.logp.sum(1)
    found = torch.zeros_like(score)
    for number in torch.unique(rows.group):
        at = torch.nonzero(rows.group == number)[:, 0]
        n = round(len(at) ** 0.5)
        if n * n != len(at) or n < 2 or rows.reward[at, 0].unique().numel() != len(at):
            continue
        at = at[torch.argsort(rows.reward[at, 0])]
        s = score[at].reshape(n, n)
        pull = torch.eye(n, dtype=s.dtype, device=s.device) - 0.5 * (s.softmax(1) + s.softmax(0))
        found[at] = pull.flatten() / n
    return spread(rows, found / count if per_token else found)


# ----------------------------------------------------------------------------------------------------------- sharpening


def sharpened(beta: float = 1.0, reference: str = "start") -> Tableau:
    """RLHF-sharpening (arXiv 2412.01951): the reward is the base model's own log-likelihood, less beta times the KL to it.

    The optimum is proportional to base^(1 + 1 / beta): answers that the model itself finds likely become likelier, and no
    verifier is asked. Rewards are of the policy being trained, so they are told in the coefficients; each is compared with the
    mean of the group's others. A group of one has no gradient.
    """
    if not beta > 0:
        raise UserError(f"beta={beta}: sharpening needs beta > 0.")
    return replace(of_any(reference), normaliser=sequence_sum, ratio=partial(own_reward, beta=beta))


def own_reward(rows: Rows, beta: float) -> Tensor:
    import torch

    assert rows.reference is not None
    base, here = rows.reference.sum(1), rows.logp.sum(1)
    reward, same = base - beta * (here - base), pairs_of(rows).to(base.dtype)
    size = same.sum(1)
    others = (same @ reward - reward) / (size - 1).clamp(min=1)
    return spread(rows, torch.where(size > 1, reward - others, torch.zeros_like(reward)))
