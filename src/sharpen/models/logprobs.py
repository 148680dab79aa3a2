"""Log-probabilities of a batch's trained tokens under a model, differentiable, in passes that fit memory.

1. `passes` cuts the rows of a batch into passes; the rows of a group stay together, so that their prompt is run once.
2. `logprobs` is one pass: rows laid end to end without padding (packing.py), logits only where a token is trained, and
   those in chunks, so that a vocabulary of 150,000 never fills the memory.

Models that transformer.py does not know take their own forward pass on right-padded rows (generic.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sharpen.core import Batch, Sampling
from sharpen.models.engine import common_beginnings, generic, pack, put, sampling, train_fused, train_products, transformer

CHUNK_LOGITS = 2**25  # logits held at once


def passes(batch: Batch, rows: np.ndarray, tokens: int, together: bool = False, even: bool = False) -> Iterator[np.ndarray]:
    """Row numbers of each pass. Rows of a group are neighbours, and groups of like length, so that little is padded.

    A prompt that a group shares counts once; a row longer than `tokens` is a pass of its own. With `together` a group is
    never cut, however long it is. With `even` the passes are of like size, so that none is a small rest.
    """
    if not len(rows):
        return
    longest = np.zeros(int(batch.group.max() - batch.group.min()) + 1, dtype=np.int64)
    group = batch.group - batch.group.min()
    np.maximum.at(longest, group[rows], batch.lengths[rows])
    order = rows[np.lexsort((batch.lengths[rows], group[rows], longest[group[rows]]))]
    shared = common_beginnings(batch.tokens[order], batch.mask[order], group[order])
    if even:
        first = np.diff(group[order], prepend=group[order[0]] - 1) != 0
        total = int((batch.lengths[order] - np.where(first, 0, shared)).sum())
        tokens = min(tokens, -(-total // -(-total // tokens)) + int(batch.lengths[order].max()))
    start = held = 0
    for end, row in enumerate(order):
        again = end > start and group[order[end - 1]] == group[row]
        cost = int(batch.lengths[row]) - (int(shared[end]) if again else 0)
        if end > start and held + cost > tokens and not (together and again):
            yield order[start:end]
            start, held, cost = end, 0, int(batch.lengths[row])
        held += cost
    yield order[start:]


@dataclass(frozen=True)
class Scores:
    """What a pass finds at the trained tokens of its rows, (R, T') float32 each, 0 elsewhere; T' is the longest row.

    logp       log-probabilities under the distribution that the tokens were drawn from
    reference  those of the reference model, without gradient; None where there is none
    penalty    of the tableau; None where there is none
    entropy    of the next-token distribution, in nats, without gradient; None where it was not asked for
    value      of the value head before each token; None without one
    """

    logp: Tensor
    reference: Tensor | None = None
    penalty: Tensor | None = None
    entropy: Tensor | None = None
    value: Tensor | None = None


def logprobs(model: Any, batch: Batch, rows: np.ndarray, recompute: bool = False) -> Tensor:
    """(R, T') float32 log-probabilities of the trained tokens of these rows, 0 elsewhere; T' is the longest of them.

    recompute  as in `transformer.hidden_states`
    """
    return scores(model, batch, rows, recompute).logp


def scores(
    model: Any,
    batch: Batch,
    rows: np.ndarray,
    recompute: bool = False,
    reference: Any = None,
    penalty: Callable[..., Tensor] | None = None,
    entropy: bool = False,
    value: Callable[[Tensor], Tensor] | None = None,
) -> Scores:
    """Log-probabilities and whatever else the tableau wants of the next-token distributions, in one pass.

    reference  a model of the same vocabulary, run beside the other
    penalty    as in `core.Tableau`
    value      states (M, D) -> (M,), a value head
    """
    mask = batch.mask[rows, : int(batch.lengths[rows].max())] > 0
    row, position = np.nonzero(mask)
    targets = put(batch.tokens[rows[row], position], model.device)
    head, states = before_trained(model, batch, rows, recompute)
    other = None
    if reference is not None:
        with torch.no_grad():
            other = before_trained(reference, batch, rows)
    functions: dict[str, Callable[..., Tensor]] = {"logp": partial(chosen, how=batch.drawn)}
    functions |= {"reference": partial(chosen_by_other, how=batch.drawn)} if other else {}
    functions |= {"penalty": penalty} if penalty else {}
    functions |= {"entropy": spread} if entropy else {}
    names = [*functions]
    if fused(head, states, batch.drawn, penalty, entropy):
        found = fused_scores(head, states, targets, batch.drawn, entropy, other)
    else:
        found = [*of_targets(head, states, targets, list(functions.values()), other)]
    if value is not None:
        names, found = [*names, "value"], [*found, value(states)]
    on = put(mask, model.device)
    empty = torch.zeros(mask.shape, device=model.device)
    return Scores(**{name: empty.masked_scatter(on, values) for name, values in zip(names, found, strict=True)})


def fused(head: Any, states: Tensor, how: Sampling, penalty: Any, entropy: bool) -> bool:
    """Whether `fused_scores` finds what is wanted: where nothing reads whole distributions, on a GPU, or in bfloat16 on a
    processor that has it.

    Entropies are those of temperature 1.
    """
    plain = type(head) is torch.nn.Linear and head.bias is None
    takes = plain and (train_fused.usable(states) or train_products.scores(head.weight, states))
    return takes and not how.cuts and penalty is None and (not entropy or heat(how) == 1)


def heat(how: Sampling) -> float:
    """The temperature that log-probabilities are taken under; greedy tokens have those of 1."""
    return how.temperature or 1.0


def fused_scores(
    head: Any,
    states: Tensor,
    targets: Tensor,
    how: Sampling,
    entropy: bool,
    other: tuple[Callable[[Tensor], Tensor], Tensor] | None,
) -> list[Tensor]:
    """Log-probabilities, then those of the reference and entropies where there are any."""
    log_probabilities = (train_fused if train_fused.usable(states) else train_products).log_probabilities
    logp, spreads = log_probabilities(head.weight, states, targets, heat(how))
    found = [logp]
    if other is not None:
        beside: Any = other[0]
        with torch.no_grad():
            found.append(log_probabilities(beside.weight, other[1], targets, heat(how))[0])
    return [*found, spreads] if entropy else found


def before_trained(
    model: Any, batch: Batch, rows: np.ndarray, recompute: bool = False
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """(head, states (M, D)): head(states) are the logits (M, V) that the M trained tokens of these rows were drawn from."""
    width = int(batch.lengths[rows].max())
    mask = batch.mask[rows, :width] > 0
    device = model.device
    read = batch.tokens if batch.inputs is None else batch.inputs
    if transformer.supported(model):
        row, position = np.nonzero(mask)
        shared = common_beginnings(read[rows], batch.mask[rows], batch.group[rows])
        # Nothing is predicted from a row's last trained token and what comes behind it.
        last = width - 1 - mask[:, ::-1].argmax(1)
        ends = np.minimum(np.maximum(last, shared), batch.lengths[rows])
        real = [read[r, :end] for r, end in zip(rows, ends, strict=True)]
        packed = pack(real, shared.tolist(), batch.group[rows].tolist(), device)
        before = packed.number(put(row, device), put(position - 1, device))
        wanted = torch.zeros(len(packed.tokens), dtype=torch.bool, device=device).index_fill_(0, before, True)
        hidden = transformer.hidden_states(
            model, packed.tokens, packed.positions, packed.attend, recompute, wanted.nonzero().squeeze(1)
        )
        return model.lm_head, hidden.index_select(0, wanted.cumsum(0)[before] - 1)
    tokens = torch.from_numpy(read[rows, :width]).to(device)
    attention = torch.arange(width, device=device)[None] < torch.from_numpy(batch.lengths[rows]).to(device)[:, None]
    wanted = torch.zeros(mask.shape, dtype=torch.bool, device=device)
    wanted[:, :-1] = torch.from_numpy(mask).to(device)[:, 1:]
    inputs = dict(input_ids=tokens, attention_mask=attention.long(), use_cache=False)
    return generic.before(model, inputs, wanted, recompute)


def of_targets(
    head: Callable[[Tensor], Tensor],
    states: Tensor,
    targets: Tensor,
    functions: Sequence[Callable[..., Tensor]],
    other: tuple[Callable[[Tensor], Tensor], Tensor] | None = None,
) -> Sequence[Tensor]:
    """What each function (logits, other logits or None, tokens) -> (M,) says of tokens (M,) after states (M, D).

    In chunks, so that logits of a large vocabulary never fill the memory; they are computed again in the backward pass.
    """

    def chunk(part: Tensor, wanted: Tensor, beside: Tensor | None) -> tuple[Tensor, ...]:
        logits = head(part)
        with torch.no_grad():
            others = None if other is None or beside is None else other[0](beside)
        return tuple(function(logits, others, wanted) for function in functions)

    beside = None if other is None else other[1]
    rows = max(CHUNK_LOGITS // width_of(head, states), 1)
    if len(targets) <= rows:
        return chunk(states, targets, beside)
    besides = [None] * len(targets) if beside is None else beside.split(rows)
    parts = zip(states.split(rows), targets.split(rows), besides)
    found = [checkpoint(chunk, part, wanted, others, use_reentrant=False) for part, wanted, others in parts]
    return [torch.cat(values) for values in zip(*found, strict=True)]


def width_of(head: Any, states: Tensor) -> int:
    """Entries of the vocabulary."""
    return int(head.weight.shape[0] if hasattr(head, "weight") else states.shape[-1])


def chosen_by_other(logits: Tensor, other: Tensor, targets: Tensor, how: Sampling) -> Tensor:
    return chosen(other, None, targets, how)


def spread(logits: Tensor, other: Tensor | None, targets: Tensor) -> Tensor:
    """(M,) entropy of the next-token distribution, in nats, without gradient."""
    logp = logits.detach().float().log_softmax(-1)
    return -(logp.exp() * logp).sum(-1)


def chosen(logits: Tensor, other: Tensor | None, targets: Tensor, how: Sampling) -> Tensor:
    """(M,) float32 log-probabilities of the targets under the distribution that they were drawn from."""
    if how.cuts:
        return sampling.logprobs(logits, how, targets).gather(1, targets[:, None]).squeeze(1)
    logits = logits.float() if how.temperature in (0, 1) else logits.float() / how.temperature
    return -F.cross_entropy(logits, targets, reduction="none")


def against_sampling(
    made: Sequence[tuple[Tensor, Tensor, np.ndarray]],
    batch: Batch,
    version: int,
    summed: Callable[[Sequence[float]], Sequence[float]] = list,
) -> dict[str, float]:
    """The loss of all passes, and the mean distance between the log-probabilities of trainer and engine.

    made    of each pass: its loss, its log-probabilities (R, T'), its rows
    summed  adds numbers up over the processes that share the passes
    """
    loss, gap, seen = 0.0, 0.0, 0.0
    for term, logp, part in made:
        loss += float(term)
        sampled = batch.sampling[part, : logp.shape[1]]
        # Forced answers have no sampling log-probability, and what another version wrote is no mismatch.
        drawn = (sampled != 0) & (batch.version is None or (batch.version[part] == version)[:, None])
        gap += float(np.abs(logp.cpu().numpy() - sampled)[drawn].sum())
        seen += int(drawn.sum())
    loss, gap, seen = summed([loss, gap, seen])
    return dict(loss=loss, mismatch=gap / seen if seen else 0.0)
