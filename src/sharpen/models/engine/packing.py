"""Rows of tokens laid end to end, with what the rows of a group begin with held once.

A group of n responses to one prompt has n times the same beginning. Every layer but attention works on single tokens, so a
pack holds the prompt once, and the tokens of the responses behind it; in attention, a response sees its prompt's keys
and values and then its own. That is exact: a prompt's hidden states do not depend on what follows it.

Dimensions: N tokens of a pack, S shared beginnings, R rows, P and T the longest beginning and remainder, H, G, E as in
transformer.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sharpen.models.engine import train_fused, train_step


@dataclass(frozen=True)
class Segments:
    """Consecutive stretches of a pack as a padded matrix.

    index    (rows, longest) number in the pack of each token; 0 where padded
    inverse  (tokens,) where each token of these stretches lies in the flattened matrix
    start    number in the pack of the first token
    full     no padding, so that the matrix is a view of the pack
    """

    index: Tensor
    inverse: Tensor
    start: int
    full: bool

    def padded(self, x: Tensor) -> Tensor:
        """(N, heads, E) -> (rows, heads, longest, E)."""
        if self.full:
            part = x[self.start : self.start + self.index.numel()]
        else:
            part = _Pad.apply(x, self.index.flatten(), self.inverse, self.start)
        return part.view(*self.index.shape, *x.shape[1:]).transpose(1, 2)

    def unpadded(self, x: Tensor) -> Tensor:
        """(rows, heads, longest, E) -> (tokens, heads, E)."""
        flat = x.transpose(1, 2).flatten(0, 1)
        return flat if self.full else _Unpad.apply(flat, self.inverse, self.index.numel())


class _Pad(torch.autograd.Function):
    """Rows of x by number, whose gradient is a lookup too: no number but that of the padding comes twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor, start: int) -> Tensor:
        ctx.save_for_backward(inverse)
        ctx.start, ctx.n = start, len(x)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (inverse,) = ctx.saved_tensors
        out = gradient.new_zeros((ctx.n, *gradient.shape[1:]))
        torch.index_select(gradient, 0, inverse, out=out[ctx.start : ctx.start + len(inverse)])
        return out, None, None, None


class _Unpad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, inverse: Tensor, n: int) -> Tensor:
        ctx.save_for_backward(inverse)
        ctx.n = n
        return x.index_select(0, inverse)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (inverse,) = ctx.saved_tensors
        out = gradient.new_zeros((ctx.n, *gradient.shape[1:]))
        out[inverse] = gradient
        return out, None, None


@dataclass(frozen=True)
class Pack:
    """Tokens of R rows laid end to end: first the S shared beginnings, then each row's remainder.

    tokens, positions  (N,) int64
    shared             the beginnings; None where no row shares one
    own                the remainders
    origin             (R,) which beginning a row continues
    starts             (R,) tokens of that beginning
    families           the same for train_step.py
    """

    tokens: Tensor
    positions: Tensor
    shared: Segments | None
    own: Segments
    origin: Tensor
    starts: Tensor
    families: train_step.Families

    @cached_property
    def visible(self) -> Tensor:
        """(R, 1, T, P + T) bool: what each token of a remainder sees."""
        assert self.shared is not None
        rows, length = self.own.index.shape
        width = self.shared.index.shape[1]
        first = torch.arange(width, device=self.starts.device) < self.starts[:, None]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.starts.device).tril()
        return torch.cat((first[:, None].expand(rows, length, width), causal.expand(rows, length, length)), dim=-1)[:, None]

    @cached_property
    def stretches(self) -> train_fused.Stretches:
        return train_fused.stretches(*self.families.given, self.tokens.device)

    def number(self, row: Tensor, position: Tensor) -> Tensor:
        """Numbers in the pack of the tokens at these positions of these rows."""
        behind = position - self.starts[row]
        own = self.own.index[row, behind.clamp(min=0)]
        return (
            own
            if self.shared is None
            else torch.where(
                behind < 0, self.shared.index[self.origin[row], position.clamp(max=self.shared.index.shape[1] - 1)], own
            )
        )

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal attention within rows: (N, H, E) from q (N, H, E) and k, v (N, G, E)."""
        if train_fused.flashes(q):
            return train_fused.attend(q, k, v, self.stretches)
        found = train_step.attend(q, k, v, self.families)
        if found is not None:
            return found
        grouped = q.shape[1] != k.shape[1]
        own_q, own_k, own_v = (self.own.padded(t) for t in (q, k, v))
        if self.shared is None:
            mixed = F.scaled_dot_product_attention(own_q, own_k, own_v, is_causal=True, enable_gqa=grouped)
            return self.own.unpadded(mixed)
        first_q, first_k, first_v = (self.shared.padded(t) for t in (q, k, v))
        first = F.scaled_dot_product_attention(first_q, first_k, first_v, is_causal=True, enable_gqa=grouped)
        all_k = torch.cat((first_k.index_select(0, self.origin), own_k), dim=2)
        all_v = torch.cat((first_v.index_select(0, self.origin), own_v), dim=2)
        mixed = F.scaled_dot_product_attention(own_q, all_k, all_v, attn_mask=self.visible, enable_gqa=grouped)
        return torch.cat((self.shared.unpadded(first), self.own.unpadded(mixed)))


def pack(rows: Sequence[np.ndarray], shared: Sequence[int], origin: Sequence[int], device: Any = "cpu") -> Pack:
    """Lay rows end to end.

    rows    token ids of each row
    shared  how many tokens each row has in common with the rows of the same origin; 0 for none, at most its length
    origin  rows with the same number share their beginning, which is taken from the first of them
    """
    firsts: dict[int, int] = {}
    starts: list[int] = []
    beginnings: list[np.ndarray] = []
    for row, n, source in zip(rows, shared, origin, strict=True):
        if firsts.setdefault(source, len(firsts)) == len(beginnings):
            beginnings.append(row[:n])
        starts.append(n)
    remainders = [row[n:] for row, n in zip(rows, shared, strict=True)]
    segments = beginnings + remainders if any(starts) else remainders
    positions = [np.arange(len(s)) for s in beginnings] if any(starts) else []
    positions += [np.arange(n, n + len(r)) for n, r in zip(starts, remainders, strict=True)]
    behind = any(starts)
    before = sum(map(len, beginnings)) if behind else 0
    number = [firsts[o] for o in origin]
    return Pack(
        tokens=put(np.concatenate(segments).astype(np.int64), device),
        positions=put(np.concatenate(positions), device),
        shared=_segments(beginnings, 0, device) if behind else None,
        own=_segments(remainders, before, device),
        origin=put(np.array(number), device),
        starts=put(np.array(starts), device),
        families=train_step.Families([len(b) if behind else 0 for b in beginnings], [len(r) for r in remainders], number),
    )


def put(values: np.ndarray, device: Any) -> Tensor:
    """The array on a device. A GPU takes it from locked memory, when it comes to it: nobody waits."""
    found = torch.from_numpy(values)
    return found.pin_memory().to(device, non_blocking=True) if torch.device(device).type == "cuda" else found.to(device)


def _segments(parts: Sequence[np.ndarray], start: int, device: Any) -> Segments:
    lengths = np.array([len(p) for p in parts])
    width = max(int(lengths.max()), 1)
    real = np.arange(width) < lengths[:, None]
    index = np.zeros(real.shape, dtype=np.int64)
    index[real] = start + np.arange(lengths.sum())
    inverse = np.flatnonzero(real)
    return Segments(put(index, device), put(inverse, device), start, bool(real.all()))


def common_beginnings(tokens: np.ndarray, mask: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(B,) how many untrained tokens each row shares with all others of its group; 0 for a row that is alone.

    tokens, mask  (B, T), right-padded; a token with mask 0 is untrained
    """
    shared = np.zeros(len(group), dtype=np.int64)
    for number in np.unique(group):
        rows = np.flatnonzero(group == number)
        if len(rows) > 1:
            same = (tokens[rows] == tokens[rows[0]]).all(0) & (mask[rows] == 0).all(0)
            shared[rows] = len(same) if same.all() else int(same.argmin())
    return shared
