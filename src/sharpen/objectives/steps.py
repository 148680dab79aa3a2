"""Objectives on parts of answers: progress beyond an answer that is given now, success that is imitated, pairs with visits."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sharpen.core import Batch, Tableau
from sharpen.objectives import advantage, policy_gradient, preferences
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor


def with_progress(alpha: float = 1.0, clip: float = 0.2) -> Tableau:
    """GRPO with alpha * (what each turn is worth by itself) added to its tokens' advantage: MRT (arXiv 2503.07572).

    The verdict credits the tokens behind a cut with reward - reward of the answer that was given at the cut
    (`verify.beyond_stopping`), and the others with 0. Where it credits nothing this is GRPO.
    """
    base = policy_gradient.grpo(clip_low=clip, clip_high=clip)
    return replace(base, advantage=partial(and_credit, alpha=alpha))


def and_credit(batch: Batch, alpha: float) -> np.ndarray:
    """(B, T), or (B,) where no turn is credited."""
    outcome = advantage.normalised(batch)
    return outcome if batch.credit is None else outcome[:, None] * batch.mask + alpha * batch.credit


def with_success(alpha: float = 0.01, clip: float = 0.2) -> Tableau:
    """GRPO + alpha * NLL on the tokens of rows with a positive advantage: THOR (arXiv 2509.13761)."""
    base = policy_gradient.grpo(clip_low=clip, clip_high=clip)
    return replace(base, extra=partial(success, alpha=alpha)) if alpha else base


def success(rows: Rows, alpha: float) -> Tensor:
    return alpha * (rows.advantage > 0) * rows.mask


def by_visits(beta: float = 0.1, reference: str = "start") -> Tableau:
    """DPO whose labels are wrong with probability a, the reward of the worse side, that of the better being 1 - a
    (`data.trees.sibling_pairs`): -(1 - a) log sigma(b h) - a log sigma(-b h). Rewards of 1 and 0 are DPO.

    Sides of equal reward, a = 1/2, have no gradient; by the formula only their pull to h = 0 would be left. Source: MCTS-DPO,
    arXiv 2405.00451, section 3.2.
    """
    preferences.positive(beta=beta)
    return preferences.paired(partial(visited, beta=beta), reference)


def visited(rows: Rows, beta: float) -> Tensor:
    import torch

    h = preferences.difference(rows, preferences.scores(rows, per_token=False))
    wrong = (1 - preferences.difference(rows, rows.reward[:, 0])) / 2
    return preferences.spread(rows, beta * (torch.sigmoid(-beta * h) - wrong))
