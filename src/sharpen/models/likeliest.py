"""What a model says of given tokens, one after the other: for those who ask a server for log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sharpen.core import Batch
from sharpen.models.logprobs import CHUNK_LOGITS, before_trained, width_of


@dataclass(frozen=True)
class Likeliest:
    """Of T tokens: logprobs (T,) of each given those before it; ids and values (T, k) of the k likeliest in its place.

    All under the model's own distribution, temperature 1 and nothing cut. The first token has nothing before it: NaN, and -1.
    """

    logprobs: np.ndarray
    ids: np.ndarray
    values: np.ndarray


@torch.no_grad()
def likeliest(model: Any, tokens: Sequence[np.ndarray], k: int) -> list[Likeliest]:
    """Of every row of token ids (T,). Rows go through the model one by one; a row of one token says nothing."""
    return [one(model, row, k) for row in tokens]


def one(model: Any, row: np.ndarray, k: int) -> Likeliest:
    n = len(row)
    found = Likeliest(np.full(n, np.nan, np.float32), np.full((n, k), -1), np.full((n, k), np.nan, np.float32))
    if n < 2:
        return found
    mask = np.ones((1, n), dtype=np.float32)
    mask[0, 0] = 0
    zeros, single = np.zeros((1, n), dtype=np.float32), np.zeros(1, dtype=np.float32)
    lengths = np.array([n])
    batch = Batch(row[None].astype(np.int64), mask, zeros, single, lengths * 0, single + 1, lengths)
    head, states = before_trained(model, batch, np.array([0]))
    targets = torch.from_numpy(row[1:].astype(np.int64)).to(states.device)
    rows, at = max(CHUNK_LOGITS // width_of(head, states), 1), 1
    for part, wanted in zip(states.split(rows), targets.split(rows), strict=True):
        logp = head(part).float().log_softmax(-1)
        end = at + len(part)
        found.logprobs[at:end] = logp.gather(1, wanted[:, None]).squeeze(1).cpu().numpy()
        if k:
            top = logp.topk(min(k, logp.shape[-1]), dim=-1)
            found.ids[at:end, : top.indices.shape[1]] = top.indices.cpu().numpy()
            found.values[at:end, : top.values.shape[1]] = top.values.cpu().numpy()
        at = end
    return found
