"""What is practised again, in the loss: rows of earlier stages beside those of now, and the student as it was before the stage.

    base()      any objective of the present rows. Replayed rows are those of groups below 0 (data/rehearsal.py)
    rehearse    base + weight * maximum likelihood of the replayed rows                            (ER; arXiv 1902.10486)
    remember    rehearse + alpha * mean squared difference of logits from the old student's        (DER++; arXiv 2004.07211)
    distil_old  base + alpha * cross-entropy from the old student, on the present rows             (LwF; arXiv 1606.09282)
    projected   base, its gradient projected where it goes against that of the replayed rows       (A-GEM; arXiv 1812.00420)
    two_logits  likelihood of the present rows under class vectors of length 1, of the replayed ones under their own   (UER)

The old student is the reference "start", the student as the stage began. Before the first stage there is none, and nothing is
replayed: then each is `base`, but for `two_logits`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from sharpen.core import Batch, Policy, Tableau
from sharpen.objectives import advantage
from sharpen.objectives.consolidation import Base
from sharpen.objectives.gradients import away_from
from sharpen.objectives.policy_gradient import sft, token_mean
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor

Of = Callable[[Batch], np.ndarray]


def separate(present: Of, replayed: Of) -> Of:
    """A function of a batch that is one of the present rows, of these alone, and another of the replayed ones."""
    return partial(each_its_own, present=present, replayed=replayed)


def each_its_own(batch: Batch, present: Of, replayed: Of) -> np.ndarray:
    again = batch.group < 0
    parts = [(rows, of) for rows, of in ((~again, present), (again, replayed)) if rows.any()]
    found = [(rows, np.asarray(of(batch.take(rows)), dtype=np.float64)) for rows, of in parts]
    wide = next((f.shape[1:] for _, f in found if f.ndim > 1), ())
    out = np.zeros((len(batch), *wide))
    for rows, values in found:
        out[rows] = values if values.ndim == out.ndim else values[:, None]
    return out


def constant(batch: Batch, value: float) -> np.ndarray:
    return np.full(len(batch), value)


def where_replayed(rows: Rows, *more: Any, base: Callable[..., Tensor], value: float) -> Tensor:
    """What `base` says of present rows, and a constant for the others."""
    import torch

    assert rows.replayed is not None
    return torch.where(rows.replayed, torch.full_like(rows.logp, value), base(rows, *more))


def rehearse(base: Base, weight: float = 1.0) -> Tableau:
    """The mean over the tokens of replayed rows has a loss of its own, `weight` times maximum likelihood. 0: they are not
    read.
    """
    made = base()
    return replace(
        made,
        advantage=separate(made.advantage, partial(constant, value=weight)),
        normaliser=separate(made.normaliser, token_mean),
        ratio=partial(where_replayed, base=made.ratio, value=1.0),
        clip=partial(where_replayed, base=made.clip, value=1.0),
        extra=made.extra and partial(where_replayed, base=made.extra, value=0.0),
    )


def replayed_only(rows: Rows) -> Tensor:
    assert rows.replayed is not None
    return rows.replayed.to(rows.mask.dtype).expand_as(rows.mask)


def present_only(rows: Rows) -> Tensor:
    return 1 - replayed_only(rows)


def remember(base: Base, alpha: float = 0.5, beta: float = 0.5, *, stage: int) -> Tableau:
    """DER++: `rehearse(base, beta)`, and alpha times the mean squared difference of logits, over replayed tokens. Both 0:
    `base`.
    """
    if stage == 0 or not (alpha or beta):
        return base()
    made = rehearse(base, beta)
    if not alpha:
        return made
    return replace(made, penalty=partial(squared, alpha=alpha), penalty_weight=replayed_only, reference="start")


def squared(logits: Tensor, other: Tensor, tokens: Tensor, alpha: float) -> Tensor:
    """(M,) alpha times the mean over the vocabulary of (logits - other)^2. A shift of all logits, which says nothing, counts
    not.
    """
    gap = logits.float() - other.float()
    return alpha * (gap - gap.mean(-1, keepdim=True)).square().mean(-1)


def distil_old(base: Base, alpha: float = 0.5, heat: float = 2.0, *, stage: int) -> Tableau:
    """LwF: on what is learnt now, alpha times the cross-entropy between the old student's distribution and the new one's, both
    at temperature `heat`. alpha 0: `base`."""
    if stage == 0 or not alpha:
        return base()
    made = base()
    return replace(made, penalty=partial(softened, alpha=alpha, heat=heat), penalty_weight=present_only, reference="start")


def softened(logits: Tensor, other: Tensor, tokens: Tensor, alpha: float, heat: float) -> Tensor:
    target = (other.float() / heat).softmax(-1)
    return -alpha * (target * (logits.float() / heat).log_softmax(-1)).sum(-1)


def projected(base: Base, on: bool = True, *, policy: Policy | None, batch: Batch | None) -> Tableau:
    """A-GEM: the gradient of the replayed rows' likelihood is only asked whether the step goes against it (`away_from`)."""
    if not on:
        return base()
    reference: list[Any] | None = None
    again = None if batch is None else batch.group < 0
    if policy is not None and batch is not None and again is not None and again.any():
        reference = [-g for g in policy.direction(batch.take(again), sft())]
    return replace(rehearse(base, 0.0), hold=partial(away_from, reference=reference))


def two_logits(base: Base, scale: float = 1.0, *, policy: Policy | None) -> Tableau:
    """UER (arXiv 2309.04081): present rows are learnt by the logits of class vectors of one length, so that lengths change by
    replayed rows alone, which are learnt by the logits as they are. scale 0: `base`.

    A class vector is a row of the output layer; the one length is `scale` times their mean. The states keep their length (the
    paper divides by it too).
    """
    if not scale:
        return base()
    made = rehearse(base, 1.0)
    model = getattr(policy, "model", None)
    vectors = model.get_output_embeddings().weight if model is not None else None
    return replace(
        made,
        advantage=separate(partial(constant, value=0.0), advantage.ones),
        penalty=partial(by_angle, vectors=vectors, scale=scale),
        penalty_weight=present_only,
    )


def by_angle(logits: Tensor, other: Tensor | None, tokens: Tensor, vectors: Tensor | None, scale: float) -> Tensor:
    """(M,) cross-entropy of logits of class vectors that all have one length: its gradient by a vector has no part along it.
    `vectors` (V, D), into which gradients flow; None: all have that length."""
    from torch import Tensor
    from torch.nn import functional as F

    # A vector of length 0, such as that of a token that stands for nothing, has no gradient by its length.
    length = 1.0 if vectors is None else vectors.float().square().sum(dim=1).clamp(min=1e-12).sqrt()
    mean = length.detach().mean() if isinstance(length, Tensor) else 1.0
    return F.cross_entropy(scale * logits.float() * mean / length, tokens, reduction="none")
