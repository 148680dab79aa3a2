"""What reward models learn: losses on the scores of answers, step by step or against each other.

    loss        of one answer                                             for
    classify    mean over its taught steps of the cross-entropy to their targets   outcome and process reward models
    prefer      mean over the worse answers of its group of -log sigma(s - s')     Bradley-Terry, rankers
    regress     mean over its taught steps of the squared error           values, advantages, shares of success
    attribute   (sum of its steps' scores - target of the last)^2         progress: credit that adds up to the outcome

Each is a function of its numbers that returns a loss, (scores (R, S), Taught) -> (R,), so that a partial of it prints, compares
and pickles. An answer that teaches nothing has loss 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Taught:
    """What a loss sees beside the scores (R, S) of R answers.

    targets  (R, S), NaN where nothing is taught, or an answer has no more steps
    steps    (R, S) bool, where there is a step
    group    (R,) answers of one group are compared
    weight   (R,) of each answer, by which its loss is multiplied afterwards
    """

    targets: Tensor
    steps: Tensor
    group: Tensor
    weight: Tensor


Loss = Callable[["Tensor", Taught], "Tensor"]


def classify() -> Loss:
    """Each taught step is right with probability sigma(score): outcome reward models (arXiv 2110.14168, section 4.2, as a
    sequence-level verifier) and process reward models (arXiv 2305.20050, section 2.6). A target between 0 and 1 is a soft
    label."""
    return partial(mean_of_steps, of_step=cross_entropy)


def regress() -> Loss:
    """Each taught step's score is its target: a value, such as the share of continuations that succeed."""
    return partial(mean_of_steps, of_step=squared_error)


def prefer(margin: float = 0.0) -> Loss:
    """Bradley-Terry among the answers of a group: -log sigma(score of the better - score of the worse - margin), by their last
    steps' targets. Equal targets are no preference. Source: arXiv 2203.02155, equation 1."""
    return partial(against_worse, margin=margin)


def attribute() -> Loss:
    """Scores of steps that add up to the outcome: SPA-RL's progress estimator (arXiv 2505.20732, section 3.2)."""
    return sum_of_steps


def mean_of_steps(scores: Tensor, taught: Taught, of_step: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    import torch

    on = ~taught.targets.isnan()
    losses = of_step(scores, torch.where(on, taught.targets, torch.zeros_like(scores)))
    return torch.where(on, losses, torch.zeros_like(losses)).sum(1) / on.sum(1).clamp(min=1)


def cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    from torch.nn import functional as F

    return F.binary_cross_entropy_with_logits(scores, targets, reduction="none")


def squared_error(scores: Tensor, targets: Tensor) -> Tensor:
    return (scores - targets) ** 2


def last(values: Tensor, taught: Taught) -> Tensor:
    """(R,) what stands at the last step of each answer."""
    return values.gather(1, (taught.steps.sum(1, keepdim=True) - 1).clamp(min=0)).squeeze(1)


def against_worse(scores: Tensor, taught: Taught, margin: float) -> Tensor:
    import torch
    from torch.nn import functional as F

    score, target = last(scores, taught), last(taught.targets, taught)
    better = (taught.group[:, None] == taught.group[None]) & (target[:, None] > target[None])  # NaN is neither
    losses = -F.logsigmoid(score[:, None] - score[None] - margin)
    return torch.where(better, losses, torch.zeros_like(losses)).sum(1) / better.sum(1).clamp(min=1)


def sum_of_steps(scores: Tensor, taught: Taught) -> Tensor:
    import torch

    target = last(taught.targets, taught)
    total = torch.where(taught.steps, scores, torch.zeros_like(scores)).sum(1)
    return torch.where(target.isnan(), torch.zeros_like(total), (total - target) ** 2)
