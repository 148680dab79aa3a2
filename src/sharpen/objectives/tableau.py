"""A tableau at work: from a batch and the policy's log-probabilities to a coefficient for each token.

    loss = -(c.detach() * logp).sum() + (normaliser * weight * mask * penalty).sum()
    c[b, t] = (advantage * clip * ratio + extra)[b, t] * normaliser[b] * weight[b] * mask[b, t]

Every method is a choice of parts (`core.Tableau`): policy_gradient.py has policy gradients and SFT. Shapes: B rows (responses)
of a batch, R rows of one pass, T tokens, padded on the right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sharpen.core import Batch, NotFinite, Tableau
from sharpen.objectives import advantage

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """What a ratio, a clip or an extra sees of the rows of one pass: tensors without gradient, 0 where nothing is trained.

    logp       (R, T) log-probabilities under the policy being trained
    sampling   (R, T) those at sampling time
    reference  (R, T) those under the reference model, or None where the tableau names none
    before     (R, T) those under the policy before the step's first update, or None where the tableau does not ask for them
    entropy    (R, T) of the whole next-token distribution, in nats, or None where the tableau does not ask for it
    mask       (R, T) 1 where a token is trained
    advantage  (R, 1), or (R, T) where tokens differ
    reward     (R, 1)
    accuracy   (R, 1) mean reward of the row's group, over the whole batch
    forced     (R, 1) bool, rows that were put into the policy's mouth
    group      (R,) rows of one group share a number
    turn       (R, T) number of the student's turn that each token belongs to, -1 elsewhere; None where the batch has none
    replayed   (R, 1) bool, rows that are practised again: their groups have numbers below 0
    """

    logp: Tensor
    sampling: Tensor
    reference: Tensor | None
    before: Tensor | None
    entropy: Tensor | None
    mask: Tensor
    advantage: Tensor
    reward: Tensor
    accuracy: Tensor
    forced: Tensor
    group: Tensor
    turn: Tensor | None = None
    replayed: Tensor | None = None


def _scales(tableau: Tableau, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Advantage, (B, 1) or (B, T), and normaliser * weight, (B,), as float64, after checking that they can be trusted."""
    advantage.require_finite("reward", batch.reward)
    advantage.require_finite("weight", batch.weight)
    credit = np.asarray(of_rollouts(tableau.advantage, batch), dtype=np.float64)
    credit = credit[:, None] if credit.ndim == 1 else credit
    scale = np.asarray(tableau.normaliser(batch), dtype=np.float64) * np.asarray(batch.weight, dtype=np.float64)
    advantage.require_finite("advantage", credit.sum(axis=1))
    advantage.require_finite("normaliser", scale)
    return credit, scale


def of_rollouts(function: Callable[[Batch], np.ndarray], batch: Batch) -> np.ndarray:
    """An advantage of a batch in which several rows may be one rollout: each rollout is compared once, by its last row, and all
    its rows have the result. One for each token sees every row."""
    if batch.sample is None:
        return function(batch)
    _, backwards, which = np.unique(batch.sample[::-1], return_index=True, return_inverse=True)
    found = function(batch.take(len(batch) - 1 - backwards))
    return found[which[::-1]] if found.ndim == 1 else function(batch)


def active(tableau: Tableau, batch: Batch) -> np.ndarray:
    """(B,) bool: rows that can carry a gradient. The others need neither a forward nor a backward pass."""
    credit, scale = _scales(tableau, batch)
    credited = (credit != 0).any(axis=1) | (tableau.extra is not None) | (tableau.penalty is not None)
    return credited & (scale != 0) & (batch.mask != 0).any(axis=1)


def coefficients(
    tableau: Tableau,
    batch: Batch,
    logp: Tensor,
    rows: slice | np.ndarray = slice(None),
    reference: Tensor | None = None,
    entropy: Tensor | None = None,
) -> Tensor:
    """Coefficients of the log-probabilities, (R, T) as `logp`, without gradient. Arguments and errors as in `weigh`."""
    return weigh(tableau, batch, logp, rows, reference, entropy)[0]


def weigh(
    tableau: Tableau,
    batch: Batch,
    logp: Tensor,
    rows: slice | np.ndarray = slice(None),
    reference: Tensor | None = None,
    entropy: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Coefficients of the log-probabilities and factors of the penalty: (R, T) each, as `logp`, without gradient.

    logp     (R, T') log-probabilities of the rows asked for under the policy being trained. T' may be smaller than the
             batch's T where nothing beyond it is trained.
    rows     a slice, indices or a bool mask. Advantage and normaliser always come from the whole batch, so a batch taken in
             slices adds up to the same gradient as the batch at once; a tableau that is `together` needs whole groups.
    reference, entropy  (R, T') each, what the tableau asks for of them (see `Rows`)

    A row without trained tokens gets zeros, and so does one of a silent group unless there is an `extra`. Raises NotFinite
    where a reward, weight, or log-probability of a trained token is not finite, naming the batch's rows, and ValueError where
    the shapes do not fit.
    """
    import torch

    credit, scale = _scales(tableau, batch)
    view = _view(batch, credit, logp, rows, reference, entropy)
    ratio = tableau.ratio(view)
    found = view.advantage * tableau.clip(view, ratio) * ratio
    if tableau.extra is not None:
        found = found + tableau.extra(view)
    factor = torch.as_tensor(scale[rows], dtype=view.mask.dtype, device=logp.device)[:, None] * view.mask
    weights = tableau.penalty_weight(view) if tableau.penalty_weight else torch.ones_like(view.mask)
    return found * factor, weights * factor


def _view(
    batch: Batch, credit: np.ndarray, logp: Tensor, rows: slice | np.ndarray, reference: Tensor | None, entropy: Tensor | None
) -> Rows:
    """What the parts of a tableau see of some rows. Errors as in `weigh`."""
    import torch

    number = np.arange(len(batch))[rows]
    width = logp.shape[1]
    trained = batch.mask[rows]
    if len(number) != len(logp) or trained[:, width:].any():
        raise ValueError(f"logp of shape {tuple(logp.shape)} does not cover the trained tokens of {trained.shape} rows")
    dtype = torch.promote_types(logp.dtype, torch.float32)  # a bf16 ratio is off by up to 0.4 %

    def tensor(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=logp.device)

    mask = tensor(trained[:, :width])

    def blanked(name: str, values: Tensor) -> Tensor:
        # Untrained positions may hold anything, infinities too, and 0 * inf is NaN: blank them before any arithmetic.
        kept = torch.where(mask != 0, values.detach().to(dtype), 0.0)
        bad = ~torch.isfinite(kept).all(dim=1).cpu().numpy()
        if bad.any():
            shown = ", ".join(map(str, number[bad][:8]))
            raise NotFinite(f"{name} of a trained token is not finite in rows {shown}", number[bad].tolist())
        return kept

    reward, index, _ = advantage.grouped(batch)
    accuracy = of_rollouts(advantage.group_mean, batch)
    forced = np.zeros(len(batch), dtype=bool) if batch.forced is None else batch.forced
    return Rows(
        logp=blanked("log-probability", logp),
        sampling=blanked("sampling log-probability", tensor(batch.sampling[rows][:, :width])),
        reference=None if reference is None else blanked("reference log-probability", reference),
        before=None if batch.before is None else blanked("log-probability", tensor(batch.before[rows][:, :width])),
        entropy=None if entropy is None else blanked("entropy", entropy),
        mask=mask,
        advantage=tensor(credit[rows][:, :width]),
        reward=tensor(reward[rows])[:, None],
        accuracy=tensor(accuracy[rows])[:, None],
        forced=torch.as_tensor(forced[rows], device=logp.device)[:, None],
        group=torch.as_tensor(index[rows], device=logp.device),
        turn=None if batch.turn is None else torch.as_tensor(batch.turn[rows][:, :width], device=logp.device),
        replayed=torch.as_tensor(batch.group[rows] < 0, device=logp.device)[:, None],
    )


def example(
    tableau: Tableau,
    groups: Sequence[Sequence[float]],
    lengths: Sequence[int] | None = None,
    ratio: float = 1.0,
    forced: Sequence[int] = (),
) -> np.ndarray:
    """Coefficients, (B, T), on responses with these rewards: for checks and for looking at an objective by hand.

    groups   the rewards of each group, e.g. [[1, 0], [1, 1]]
    lengths  tokens of each response, two by default
    ratio    likelihood ratio of every token, to the sampler and to the reference; the entropy of every token is 1
    forced   numbers of responses that were put into the policy's mouth; it gives each of their tokens probability ratio / e

    >>> example(objective.rloo(), [[1, 0]])[:, 0]
    array([ 0.5, -0.5])
    """
    import torch

    reward = np.array([r for group in groups for r in group], dtype=np.float64)
    length = np.array(lengths if lengths is not None else [2] * len(reward))
    mask = (np.arange(length.max(initial=0)) < length[:, None]).astype(np.float64)
    old, given = np.full(mask.shape, -1.0), np.isin(np.arange(len(reward)), forced)
    batch = Batch(
        tokens=np.zeros(mask.shape, dtype=np.int64),
        mask=mask,
        sampling=np.where(given[:, None], 0.0, old),
        reward=reward,
        group=np.repeat(np.arange(len(groups)), [len(group) for group in groups]),
        weight=np.ones(len(reward)),
        lengths=length,
        forced=given,
        before=old if tableau.before else None,
    )
    then = torch.as_tensor(old)
    return coefficients(tableau, batch, then + np.log(ratio), reference=then, entropy=torch.ones_like(then)).numpy()


def example_penalty(
    tableau: Tableau, logits: Sequence[Sequence[float]], reference: Sequence[Sequence[float]] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A tableau's penalty on next-token logits, (M,), and its gradient by them, (M, V): for checks, as `example` is.

    `reference`, (M, V), are the logits of the reference model; the tokens are those of number 0.
    """
    import torch

    if tableau.penalty is None:
        raise ValueError("this tableau has no penalty")
    found = torch.tensor(np.asarray(logits), dtype=torch.float64).requires_grad_()
    other = None if reference is None else torch.tensor(np.asarray(reference), dtype=torch.float64)
    values = tableau.penalty(found, other, torch.zeros(len(found), dtype=torch.int64))
    values.sum().backward()
    assert found.grad is not None
    return values.detach().numpy(), found.grad.numpy()
