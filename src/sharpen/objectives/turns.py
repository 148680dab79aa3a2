"""Objectives for episodes of several turns: credit by turn, put into shape here, and penalties that hold single turns.

A verdict that credits turns leaves in the batch what each is worth (`Batch.credit`, `Batch.turn`). A shape makes other credit
of it, over all turns of an episode, without asking a verifier again: so two stages of a run may shape the same verdicts
differently. Where verdicts credit no turns, a batch is one turn, worth its reward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sharpen.core import Batch, Tableau
from sharpen.objectives import advantage, penalties
from sharpen.objectives.policy_gradient import grpo, no_clip, no_ratio, sequence_mean, token_mean
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor

Shape = Callable[[Sequence[float]], Sequence[float]]


def episodes(batch: Batch) -> list[np.ndarray]:
    """The rows of each rollout."""
    if batch.sample is None:
        return [np.array([row]) for row in range(len(batch))]
    return [np.flatnonzero(batch.sample == number) for number in np.unique(batch.sample)]


def reshaped(batch: Batch, shape: Shape) -> Batch:
    """The batch with each episode's credits put through a shape. Turns that are not in it, such as checks that nobody learns
    from, have no place in what the shape sees. A batch without credit stays as it is."""
    if batch.turn is None or batch.credit is None:
        return batch
    credit = np.array(batch.credit, dtype=np.float32)
    for rows in episodes(batch):
        turn, worth = batch.turn[rows], batch.credit[rows]
        numbers = np.unique(turn[turn >= 0])
        if len(numbers):
            shaped = shape([float(worth[turn == n][0]) for n in numbers])
            for n, value in zip(numbers, shaped, strict=True):
                worth = np.where(turn == n, np.float32(value), worth)
            credit[rows] = worth
    return replace(batch, credit=credit)


def by_turn(batch: Batch, shape: Shape | None = None, only: int | None = None, scaled: bool = True) -> np.ndarray:
    """(B, T) `advantage.by_turn` of reshaped credit.

    only    the number of the one turn that is learnt from, -1 for each episode's last; None: all
    scaled  divided by the deviation of the group's credits at that turn; False: centred only
    """
    shown = batch if shape is None else reshaped(batch, shape)
    found = advantage.by_turn(shown) if scaled else centred_by_turn(shown)
    if only is None or batch.turn is None:
        return found
    wanted = np.full(len(batch), only)
    if only < 0:
        for rows in episodes(batch):
            wanted[rows] = batch.turn[rows].max(initial=-1)
    return np.where(batch.turn == wanted[:, None], found, 0.0)


def centred_by_turn(batch: Batch) -> np.ndarray:
    """(B, T): each turn's credit less the mean of the same turn of the group's rollouts: a bonus ten times as large counts ten
    times as much."""
    if batch.turn is None or batch.credit is None:
        return advantage.centred(batch)[:, None] * batch.mask
    found = np.zeros(batch.mask.shape)
    for group in np.unique(batch.group):
        rows = np.flatnonzero(batch.group == group)
        for turn in np.unique(batch.turn[rows][batch.turn[rows] >= 0]):
            on = batch.turn[rows] == turn
            having = on.any(axis=1)
            worth = (batch.credit[rows] * on).sum(axis=1)[having] / on.sum(axis=1)[having]
            found[rows[having]] += on[having] * (worth - worth.mean())[:, None]
    return found


def k2_by_turn(rows: Rows, first: float, later: float) -> Tensor:
    """`penalties.k2` to the reference, weighing `first` on the first turn's tokens and `later` on all others."""
    import torch

    weight = torch.full_like(rows.logp, later)
    if rows.turn is not None:
        weight = torch.where(rows.turn == 0, torch.full_like(weight, first), weight)
    return weight * penalties.k2(rows, 1.0)


def first_stage(beta: float = 0.1, small: float = 0.01, clip: float = 0.2) -> Tableau:
    """SCoRe's first stage (arXiv 2409.12917, section 4.1): the second turn's reward is learnt on the second turn's tokens,
    while `beta` times the KL divergence holds the first turn where it began, and `small` times that the second.

    Gradients are GRPO's on groups instead of REINFORCE's. The KL's estimate is k2, whose gradient is that of KL(policy ||
    start).
    """
    extra = partial(k2_by_turn, first=beta, later=small)
    learnt = partial(by_turn, only=-1)
    return replace(grpo(clip_low=clip, clip_high=clip), advantage=learnt, extra=extra, reference="start")


def second_stage(shape: Shape | None = None, beta: float = 0.01, clip: float = 0.2, scaled: bool = True) -> Tableau:
    """SCoRe's second stage (section 4.2): both turns learn, each from its own reward, the later one from what `shape` makes of
    it, such as `verify.improvement`; `beta` times the KL divergence to the start holds all of it. 0: no reference."""
    tableau = replace(grpo(clip_low=clip, clip_high=clip), advantage=partial(by_turn, shape=shape, scaled=scaled))
    return replace(tableau, extra=partial(penalties.k2, weight=beta), reference="start") if beta else tableau


def weighted(tau: float = 0.4, centred: bool = False, better: bool = False) -> Tableau:
    """Maximum likelihood of every turn, weighing exp(its reward / tau): RISE (arXiv 2407.18219, section 4).

    At tau 0.4 a right turn weighs 12.2 times a wrong one; at infinity it is imitation of all, at 0 of right ones alone.
    centred  less the prompt's mean reward in the exponent, as in the paper; the release has no baseline
    better   only turns that are worth more than every earlier one of their episode count: one of its filters
    """
    return Tableau(partial(exponential, tau=tau, centred=centred, better=better), sequence_mean, no_ratio, no_clip)


def exponential(batch: Batch, tau: float, centred: bool, better: bool) -> np.ndarray:
    """(B, T) exp(credit / tau) over the largest of the batch, so that the sum is finite at any tau."""
    credit = batch.mask * batch.reward[:, None] if batch.credit is None else np.asarray(batch.credit, np.float64)
    mean = np.zeros(len(batch))
    if centred:
        mean = advantage.group_mean(batch)
    height = (credit - mean[:, None]) / tau
    on = batch.mask > 0
    found = np.where(on, np.exp(height - (height[on].max() if on.any() else 0.0)), 0.0)
    return found * best_so_far(batch) if better else found


def best_so_far(batch: Batch) -> np.ndarray:
    """(B, T) 1 on turns whose credit is above that of every earlier turn of the episode, and above 0."""
    found = np.zeros(batch.mask.shape)
    if batch.turn is None or batch.credit is None:
        return np.where(batch.reward[:, None] > 0, batch.mask, 0.0)
    for rows in episodes(batch):
        turn, credit = batch.turn[rows], batch.credit[rows]
        best = 0.0
        for n in np.unique(turn[turn >= 0]):
            worth = float(credit[turn == n][0])
            found[rows] += (turn == n) * (worth > best)
            best = max(best, worth)
    return found


def separate(clip: float = 0.2) -> Tableau:
    """GRPO in which each turn learns from its own credit alone, such as explanations beside programs: no token of one is moved
    by what the other earned (LeDex, arXiv 2405.18649, section 4)."""
    return replace(grpo(clip_low=clip, clip_high=clip), advantage=by_turn)


def together(share: float = 0.5) -> Tableau:
    """Likelihood of groups of two kinds, told apart by the turn that is learnt from: `share` of the weight belongs to first
    turns, the rest to later ones, whatever their numbers (EVOLVE's mixture, arXiv 2502.05605)."""
    return Tableau(partial(balanced, share=share), token_mean, no_ratio, no_clip)


def balanced(batch: Batch, share: float) -> np.ndarray:
    """(B, T) weights that give first turns that share of the batch's trained tokens."""
    if batch.turn is None:
        return batch.mask.astype(np.float64)
    first, on = (batch.turn == 0) & (batch.mask > 0), batch.mask > 0
    later, total = on & ~first, on.sum()
    weight = np.zeros(batch.mask.shape)
    for which, part in ((first, share), (later, 1 - share)):
        weight[which] = part * total / which.sum() if which.any() else 0.0
    return weight
