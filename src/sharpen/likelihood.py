"""Log-probabilities of a batch's trained tokens under a model, differentiable, in passes that fit memory.

1. `passes` cuts the rows of a batch into passes; the rows of a group stay together, so that their prompt is run once.
2. `logprobs` is one pass: rows laid end to end without padding (packing.py), logits only where a token is trained, and
   those in chunks, so that a vocabulary of 150,000 never fills the memory.

Models that transformer.py does not know take their own forward pass on right-padded rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sharpen import sampling, transformer
from sharpen.core import Batch, Sampling
from sharpen.packing import common_beginnings, pack

CHUNK_LOGITS = 2**25  # logits held at once


def passes(batch: Batch, rows: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """Row numbers of each pass. Rows of a group are neighbours, and groups of like length, so that little is padded.

    A prompt that a group shares counts once; a row longer than `tokens` is a pass of its own.
    """
    if not len(rows):
        return
    longest = np.zeros(int(batch.group.max() - batch.group.min()) + 1, dtype=np.int64)
    group = batch.group - batch.group.min()
    np.maximum.at(longest, group[rows], batch.lengths[rows])
    order = rows[np.lexsort((batch.lengths[rows], group[rows], longest[group[rows]]))]
    shared = common_beginnings(batch.tokens[order], batch.mask[order], group[order])
    start = held = 0
    for end, row in enumerate(order):
        again = end > start and group[order[end - 1]] == group[row]
        cost = int(batch.lengths[row]) - (int(shared[end]) if again else 0)
        if end > start and held + cost > tokens:
            yield order[start:end]
            start, held, cost = end, 0, int(batch.lengths[row])
        held += cost
    yield order[start:]


def logprobs(model: Any, batch: Batch, rows: np.ndarray, recompute: bool = False) -> Tensor:
    """(R, T') float32 log-probabilities of the trained tokens of these rows, 0 elsewhere; T' is the longest of them.

    recompute  as in `transformer.hidden_states`
    """
    width = int(batch.lengths[rows].max())
    mask = batch.mask[rows, :width] > 0
    row, position = np.nonzero(mask)
    device = model.device
    targets = torch.from_numpy(batch.tokens[rows[row], position]).to(device)
    if transformer.supported(model):
        shared = common_beginnings(batch.tokens[rows], batch.mask[rows], batch.group[rows])
        real = [batch.tokens[r, : batch.lengths[r]] for r in rows]
        packed = pack(real, shared.tolist(), batch.group[rows].tolist(), device)
        before = packed.number(torch.from_numpy(row).to(device), torch.from_numpy(position - 1).to(device))
        hidden = transformer.hidden_states(model, packed.tokens, packed.positions, packed.attend, recompute)
        found = of_targets(model.lm_head, hidden.index_select(0, before), targets, batch.drawn)
    else:
        tokens = torch.from_numpy(batch.tokens[rows, :width]).to(device)
        attention = torch.arange(width, device=device)[None] < torch.from_numpy(batch.lengths[rows]).to(device)[:, None]
        logits = model(input_ids=tokens, attention_mask=attention.long()).logits
        trained = torch.from_numpy(mask).to(device)[:, 1:]
        found = chosen(logits[:, :-1][trained], targets, batch.drawn)
    return torch.zeros(mask.shape, device=device).masked_scatter(torch.from_numpy(mask).to(device), found)


def of_targets(head: Any, hidden: Tensor, targets: Tensor, how: Sampling) -> Tensor:
    """(M,) log-probabilities of tokens (M,) after hidden states (M, D). Chunks are computed again in the backward pass."""
    rows = max(CHUNK_LOGITS // head.weight.shape[0], 1)
    if len(targets) <= rows:
        return chosen(head(hidden), targets, how)

    def chunk(part: Tensor, wanted: Tensor) -> Tensor:
        return chosen(head(part), wanted, how)

    parts = zip(hidden.split(rows), targets.split(rows), strict=True)
    return torch.cat([checkpoint(chunk, part, wanted, use_reentrant=False) for part, wanted in parts])


def chosen(logits: Tensor, targets: Tensor, how: Sampling) -> Tensor:
    """(M,) float32 log-probabilities of the targets under the distribution that they were drawn from."""
    if how.cuts:
        return sampling.logprobs(logits, how, targets).gather(1, targets[:, None]).squeeze(1)
    logits = logits.float() if how.temperature in (0, 1) else logits.float() / how.temperature
    return -F.cross_entropy(logits, targets, reduction="none")
