"""Distillation: the student's next-token distributions are drawn to a teacher's, on the tokens of the batch.

    objective        loss of a token, p the teacher's distribution, q the student's
    distil           beta 0: KL(p || q); 1: KL(q || p); between: b KL(p || m) + (1 - b) KL(q || m), m = b p + (1 - b) q
    on_policy        the policy gradient of KL(q || p) on what the student samples: coefficient log p - log q
    taid             KL(softmax((1 - t) student's + t teacher's logits) || q), t rising to 1
    weak_to_strong   (1 - c) KL(p || q) - c log q(student's own first choice)

Losses are means over tokens; rewards are not read. The teacher is a role: a directory with a model of the student's
vocabulary. Logits are compared as they are: at temperature 1 and without cuts, however tokens were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sharpen.core import Batch, Tableau, UserError
from sharpen.objectives.penalties import divergence, log_probabilities
from sharpen.objectives.policy_gradient import no_clip, token_mean
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor

    Penalty = Callable[[Tensor, Tensor, Tensor], Tensor]


# ------------------------------------------------------------------- penalties: (student's logits, teacher's, tokens) -> (M,)


def jensen(logits: Tensor, other: Tensor, tokens: Tensor, beta: float) -> Tensor:
    """The generalised Jensen-Shannon divergence of GKD (arXiv 2306.13649, equation 1); at 0 and 1, where it vanishes, its
    limits divided by beta and 1 - beta: KL(teacher || student) and KL(student || teacher)."""
    import torch

    student, teacher = log_probabilities(logits), log_probabilities(other)
    if beta in (0, 1):
        return divergence(student, teacher) if beta else divergence(teacher, student)
    middle = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
    return beta * divergence(teacher, middle) + (1 - beta) * divergence(student, middle)


def interpolated(logits: Tensor, other: Tensor, tokens: Tensor, t: float) -> Tensor:
    """KL(softmax((1 - t) student + t teacher) || student): no gradient at t = 0, KL(teacher || student) at t = 1."""
    student = log_probabilities(logits)
    between = (1 - t) * student.detach() + t * log_probabilities(other)  # normalising first changes no softmax
    return divergence(log_probabilities(between), student)


def confident(logits: Tensor, other: Tensor, tokens: Tensor, c: float) -> Tensor:
    """(1 - c) KL(weak teacher || student) plus c times the cross-entropy to the student's own likeliest token."""
    from torch.nn import functional as F

    own = F.nll_loss(log_probabilities(logits), logits.detach().argmax(-1), reduction="none")
    return (1 - c) * jensen(logits, other, tokens, 0.0) + c * own


# --------------------------------------------------------------------------------------------------------------- objectives


def nothing(batch: Batch) -> np.ndarray:
    """(B,) zeros: what is learned does not depend on rewards."""
    return np.zeros(len(batch))


def ones(rows: Rows) -> Tensor:
    import torch

    return torch.ones_like(rows.logp)


def taught(penalty: Penalty) -> Tableau:
    """A penalty against the teacher and nothing else, mean over the tokens of the batch."""
    return Tableau(nothing, token_mean, ones, no_clip, penalty=penalty, reference="teacher")


def distil(beta: float = 0.0) -> Tableau:
    """Generalised knowledge distillation (arXiv 2306.13649): forward KL at 0, reverse KL at 1. UserError outside of them."""
    if not 0 <= beta <= 1:
        raise UserError(f"beta={beta}: distil needs a number from 0 (forward KL) to 1 (reverse KL).")
    return taught(partial(jensen, beta=beta))


def towards_teacher(rows: Rows) -> Tensor:
    """log teacher - log student of each sampled token."""
    assert rows.reference is not None
    return rows.reference - rows.logp


def on_policy() -> Tableau:
    """Per-token reverse KL as the advantage of a policy gradient, without discounting (arXiv 2306.13649, section 3; Lu 2025,
    thinkingmachines.ai/blog/on-policy-distillation). In the mean its gradient is that of KL(student || teacher) a token."""
    return Tableau(nothing, token_mean, ones, no_clip, towards_teacher, reference="teacher")


def taid(
    start: float = 0.4, alpha: float = 5e-4, momentum: float = 0.99, *, progress: float, losses: Sequence[float]
) -> Tableau:
    """Temporally adaptive interpolated distillation (arXiv 2501.16937, algorithm 1); `losses` of the loop's steps so far."""
    return taught(partial(interpolated, t=interpolation(losses, progress, start, alpha, momentum)))


def interpolation(losses: Sequence[float], progress: float, start: float, alpha: float, momentum: float) -> float:
    """TAID's t: at least on the line from `start` to 1 over the budget, ahead of it while the loss falls; never falling.

    After each step d = relative fall of the loss, m = momentum * m + (1 - momentum) * d, t += alpha * sigmoid(m) * (1 - t).
    A function of the losses alone, so there is no state to save; progress at an earlier step is taken to be proportional.
    """
    t, m = start, 0.0
    for i, (before, after) in enumerate(zip(losses, losses[1:], strict=False), start=2):
        m = momentum * m + (1 - momentum) * (before - after) / (abs(before) or 1.0)
        line = start + (1 - start) * progress * i / len(losses)
        t = min(1.0, max(line, t + alpha / (1 + math.exp(-m)) * (1 - t)))
    return min(1.0, max(t, start + (1 - start) * progress))


def weak_to_strong(confidence: float = 0.5, warmup: float = 0.1, *, progress: float) -> Tableau:
    """A weak teacher's labels, and the student's confidence in its own (arXiv 2312.09390, appendix A.4).

    The weight of its own labels rises to `confidence` over the first `warmup` of the budget. UserError unless it is 0 to 1.
    """
    if not 0 <= confidence <= 1:
        raise UserError(f"confidence={confidence}: this is a share, from 0 (labels only) to 1 (labels ignored).")
    return taught(partial(confident, c=confidence * (min(progress / warmup, 1.0) if warmup > 0 else 1.0)))


def performance_gap_recovered(weak: float, weak_to_strong: float, ceiling: float) -> float:
    """Share of the gap between weak supervisor and strong ceiling that the student closes (arXiv 2312.09390, section 3).

    1: as good as with true labels; 0: no better than its teacher; may lie outside. Raises ValueError where there is no gap.
    """
    if not ceiling > weak:
        raise ValueError(f"there is no gap to recover: ceiling {ceiling} is not above the weak supervisor's {weak}")
    return (weak_to_strong - weak) / (ceiling - weak)


def extrapolated(reference: Sequence[float], tuned: Sequence[float], base: Sequence[float], beta: float) -> list[float]:
    """The optimum of DPO on pairs (an answer of the tuned model over one of the base) without a filter: proportional to
    reference * (tuned / base) ** (1 / beta). Such a pair is a Bradley-Terry preference with reward log(tuned / base), so the
    whole direction of the tuning is gone on in, style as well as skill. Self-reinforcement, arXiv 2405.04086; derived."""
    worth = [r * (t / b) ** (1 / beta) for r, t, b in zip(reference, tuned, base, strict=True)]
    return [w / sum(worth) for w in worth]
