"""Generation: many rows at once, prompts prefilled once for their whole group, finished rows leave.

1. `generate` takes prompts as token ids and answers with tokens and the log-probabilities they were sampled with.
2. Each row draws from its own seed, so a result does not depend on what it was batched with (up to rounding).
3. Rows whose prompts have different lengths are padded on the left, and sorted into buckets so that little is wasted.
4. Models of the Llama family take the path of transformer.py; any other causal LM takes its own forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sharpen import transformer

MAX_ROWS = 512  # rows decoded together
MAX_SPREAD = 64  # longest minus shortest prompt of one bucket, in tokens
GROWTH = 32  # columns that a cache has beyond the prompts at first
COMPACT = 0.6  # finished rows leave once fewer than this share of the rows is active


@dataclass(frozen=True)
class Request:
    """One row to generate: prompt ids (P,), its seed, its limits. Temperature 0 is greedy."""

    prompt: np.ndarray
    seed: int
    max_tokens: int
    temperature: float


@dataclass(frozen=True)
class Generation:
    """tokens (N,) int32 with the end token where it was written; logprobs (N,) float32 under the sampling distribution
    (greedy: under temperature 1)."""

    tokens: np.ndarray
    logprobs: np.ndarray
    ended: bool


class HuggingFaceCache:
    """The same interface as transformer.Cache for any causal LM, over transformers' own cache."""

    def __init__(self, model: Any, rows: int):
        from transformers import DynamicCache

        self.inner = DynamicCache(config=model.config)
        self.pad = torch.zeros(rows, dtype=torch.long, device=model.device)
        self.used = 0

    full = False  # transformers' cache grows by itself

    def keep(self, rows: Tensor) -> HuggingFaceCache:
        self.inner.batch_select_indices(rows)
        self.pad = self.pad[rows]
        return self

    def expand(self, rows: Tensor, capacity: int) -> HuggingFaceCache:
        return self.keep(rows)


def extend(model: Any, tokens: Tensor, cache: Any) -> Tensor:
    """Append (B, T) tokens and return float32 logits (B, V) after the last."""
    if isinstance(cache, transformer.Cache):
        return transformer.extend(model, tokens, cache).float()
    end = cache.used + tokens.shape[1]
    columns = torch.arange(end, device=tokens.device)
    positions = (columns[None, cache.used :] - cache.pad[:, None]).clamp(min=0)
    out = model(
        input_ids=tokens,
        attention_mask=(columns[None] >= cache.pad[:, None]).long(),
        position_ids=positions,
        past_key_values=cache.inner,
        use_cache=True,
        logits_to_keep=1,
    )
    cache.used = end
    return out.logits[:, -1].float()


@torch.inference_mode()
def generate(model: Any, requests: Sequence[Request], end_ids: Sequence[int], pad_id: int) -> list[Generation]:
    """Generate every request; the answers come in the order of the requests. An empty prompt is a ValueError."""
    if any(len(r.prompt) == 0 for r in requests):
        raise ValueError("a prompt has no tokens: the chat template rendered it empty")
    results: list[Generation | None] = [None] * len(requests)
    for bucket in buckets([len(r.prompt) for r in requests]):
        done = decode(model, [requests[i] for i in bucket], end_ids, pad_id)
        for i, generation in zip(bucket, done, strict=True):
            results[i] = generation
    return [r for r in results if r is not None]


def buckets(lengths: Sequence[int]) -> list[list[int]]:
    """Row numbers sorted by prompt length, cut where MAX_ROWS or MAX_SPREAD would be passed."""
    out: list[list[int]] = []
    for i in np.argsort(lengths, kind="stable").tolist():
        if not out or len(out[-1]) >= MAX_ROWS or lengths[i] - lengths[out[-1][0]] > MAX_SPREAD:
            out.append([])
        out[-1].append(i)
    return out


def prefill(model: Any, requests: Sequence[Request], pad_id: int) -> tuple[Any, Tensor]:
    """Run each distinct prompt once, then give every request its row: (cache, logits (B, V))."""
    keys: dict[bytes, int] = {}
    row_of = [keys.setdefault(r.prompt.tobytes(), len(keys)) for r in requests]
    distinct = [np.frombuffer(k, dtype=np.int32) for k in keys]
    longest = max(len(p) for p in distinct)
    tokens = np.full((len(distinct), longest), pad_id, dtype=np.int64)
    for i, p in enumerate(distinct):
        tokens[i, longest - len(p) :] = p
    fast = transformer.supported(model)
    cache = transformer.Cache(model, len(distinct), longest, model.dtype) if fast else HuggingFaceCache(model, len(distinct))
    cache.pad = torch.tensor([longest - len(p) for p in distinct], device=model.device)
    logits = extend(model, torch.from_numpy(tokens).to(model.device), cache)
    rows = torch.tensor(row_of, device=model.device)
    return cache.expand(rows, longest + GROWTH), logits[rows]


def decode(model: Any, requests: Sequence[Request], end_ids: Sequence[int], pad_id: int) -> list[Generation]:
    """Sample one bucket to its end."""
    limit = max(r.max_tokens for r in requests)
    cache, logits = prefill(model, requests, pad_id)
    device = model.device
    noise = uniforms(requests).to(device)
    temperature = torch.tensor([r.temperature for r in requests], device=device)
    limits = torch.tensor([r.max_tokens for r in requests], device=device)
    ends = torch.tensor(list(end_ids), device=device)
    rows = torch.arange(len(requests), device=device)  # request number of each row of the cache
    active = limits > 0
    tokens = torch.full((len(requests), limit), pad_id, dtype=torch.int32, device=device)
    logprobs = torch.zeros((len(requests), limit), device=device)
    lengths = torch.zeros(len(requests), dtype=torch.long, device=device)
    for t in range(limit):
        token, logprob = sample(logits, temperature[rows], noise[rows, t])
        alive = rows[active]
        tokens[alive, t], logprobs[alive, t] = token[active].int(), logprob[active]
        lengths[alive] = t + 1
        active = active & ~torch.isin(token, ends) & (limits[rows] > t + 1)
        left = int(active.sum())
        if left == 0:
            break
        if left < COMPACT * len(rows):
            keep = active.nonzero().squeeze(1)
            cache, rows, token, active = cache.keep(keep), rows[keep], token[keep], active[keep]
        if cache.full:  # doubling keeps the copying of a long generation linear in its length
            cache = cache.grow(2 * cache.used)
        logits = extend(model, token[:, None], cache)
    return collect(tokens.cpu().numpy(), logprobs.cpu().numpy(), lengths.tolist(), end_ids)


def collect(tokens: np.ndarray, logprobs: np.ndarray, lengths: Sequence[int], end_ids: Sequence[int]) -> list[Generation]:
    out = []
    for row, logprob, n in zip(tokens, logprobs, lengths, strict=True):
        out.append(Generation(row[:n].copy(), logprob[:n].copy(), n > 0 and int(row[n - 1]) in end_ids))
    return out


def uniforms(requests: Sequence[Request]) -> Tensor:
    """(B, T) numbers in [0, 1), row i from the seed of request i alone; zeros where the request is greedy."""
    noise = np.zeros((len(requests), max(r.max_tokens for r in requests)))
    for i, r in enumerate(requests):
        if r.temperature > 0:
            noise[i, : r.max_tokens] = np.random.Generator(np.random.Philox(key=r.seed)).random(r.max_tokens)
    return torch.from_numpy(noise)


def sample(logits: Tensor, temperature: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Draw one token for each row by inverting its distribution at u: (tokens (B,), log-probabilities (B,)).

    A row of temperature 0 takes the likeliest token, and its log-probability under temperature 1.
    """
    greedy = temperature == 0
    logp = F.log_softmax(logits / torch.where(greedy, 1.0, temperature)[:, None], dim=-1)
    total = logp.double().exp().cumsum(dim=-1)
    # The sum ends a rounding error away from 1: scaling by it keeps u inside the last token of positive probability.
    token = torch.searchsorted(total, u[:, None] * total[:, -1:], right=True).squeeze(1).clamp(max=logits.shape[1] - 1)
    token = torch.where(greedy, logits.argmax(dim=-1), token)
    return token, logp.gather(1, token[:, None]).squeeze(1)
