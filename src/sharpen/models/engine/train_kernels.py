"""What training does on a GPU between its products, in Triton. train_fused.py says what each computes, and has it in torch.

Imported only where Triton is.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024
VOCABULARY = 4096  # logits of a row that a program looks at together


def gate(both: Tensor) -> Tensor:
    n, inner = len(both), both.shape[1] // 2
    out = both.new_empty((n, inner))
    _gate[(n, triton.cdiv(inner, BLOCK))](both, out, inner, BLOCK=BLOCK, num_warps=4)
    return out


@triton.jit
def _gate(both, out, inner, BLOCK: tl.constexpr):
    row, at = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    on = at < inner
    opening = tl.load(both + row * 2 * inner + at, mask=on, other=0.0).to(tl.float32)
    value = tl.load(both + row * 2 * inner + inner + at, mask=on, other=0.0).to(tl.float32)
    opened = (opening * tl.sigmoid(opening)).to(out.dtype.element_ty).to(tl.float32)
    tl.store(out + row * inner + at, (opened * value).to(out.dtype.element_ty), mask=on)


def gate_backward(both: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    n, inner = len(both), both.shape[1] // 2
    d_both, out = torch.empty_like(both), both.new_empty((n, inner))
    _gate_backward[(n, triton.cdiv(inner, BLOCK))](both, g.contiguous(), d_both, out, inner, BLOCK=BLOCK, num_warps=4)
    return d_both, out


@triton.jit
def _gate_backward(both, g, d_both, out, inner, BLOCK: tl.constexpr):
    row, at = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    on = at < inner
    opening = tl.load(both + row * 2 * inner + at, mask=on, other=0.0).to(tl.float32)
    value = tl.load(both + row * 2 * inner + inner + at, mask=on, other=0.0).to(tl.float32)
    above = tl.load(g + row * inner + at, mask=on, other=0.0).to(tl.float32)
    share = tl.sigmoid(opening)
    opened = (opening * share).to(out.dtype.element_ty).to(tl.float32)
    tl.store(out + row * inner + at, (opened * value).to(out.dtype.element_ty), mask=on)
    d_opening = above * value * share * (1 + opening * (1 - share))
    tl.store(d_both + row * 2 * inner + at, d_opening.to(out.dtype.element_ty), mask=on)
    tl.store(d_both + row * 2 * inner + inner + at, (above * opened).to(out.dtype.element_ty), mask=on)


def rotate(x: Tensor, cos: Tensor, sin: Tensor, way: float) -> Tensor:
    n, heads, head = x.shape
    out = x.new_empty(x.shape)
    sizes = dict(HALF=head // 2, WIDE=triton.next_power_of_2(head // 2), BLOCK=triton.next_power_of_2(heads))
    _rotate[(n,)](x, cos, sin, out, way, heads, x.stride(0), x.stride(1), cos.stride(0), sin.stride(0), **sizes, num_warps=4)
    return out


@triton.jit
def _rotate(
    x, cos, sin, out, way, heads, by_row, by_head, by_cos, by_sin,
    HALF: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    head, at = tl.arange(0, BLOCK)[:, None], tl.arange(0, WIDE)[None, :]
    on = (head < heads) & (at < HALF)
    here = x + row * by_row + head * by_head + at
    a = tl.load(here, mask=on, other=0.0).to(tl.float32)
    b = tl.load(here + HALF, mask=on, other=0.0).to(tl.float32)
    c = tl.load(cos + row * by_cos + at, mask=at < HALF, other=0.0).to(tl.float32)
    s = tl.load(sin + row * by_sin + at, mask=at < HALF, other=0.0).to(tl.float32) * way
    there = out + row * heads * 2 * HALF + head * 2 * HALF + at
    tl.store(there, (a * c - b * s).to(out.dtype.element_ty), mask=on)
    tl.store(there + HALF, (b * c + a * s).to(out.dtype.element_ty), mask=on)


def join(out: Tensor, log: Tensor, more: Tensor, more_log: Tensor, at: Tensor) -> None:
    n, heads, head = more.shape
    sizes = dict(HEAD=head, WIDE=triton.next_power_of_2(head), BLOCK=triton.next_power_of_2(heads))
    _join[(n,)](out, log, more, more_log, at, heads, log.stride(0), more_log.stride(0), **sizes, num_warps=4)


@triton.jit
def _join(
    out, log, more, more_log, at, heads, by_head, by_more,
    HEAD: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    there = tl.load(at + row)
    head, e = tl.arange(0, BLOCK), tl.arange(0, WIDE)
    on = head < heads
    a = tl.load(log + head * by_head + there, mask=on, other=0.0)
    b = tl.load(more_log + head * by_more + row, mask=on, other=0.0)
    best = tl.maximum(a, b)
    joined = best + tl.log(tl.exp(a - best) + tl.exp(b - best))
    tl.store(log + head * by_head + there, joined, mask=on)
    both = on[:, None] & (e[None, :] < HEAD)
    place = head[:, None] * HEAD + e[None, :]
    own = tl.load(out + there * heads * HEAD + place, mask=both, other=0.0).to(tl.float32)
    over = tl.load(more + row * heads * HEAD + place, mask=both, other=0.0).to(tl.float32)
    mixed = own * tl.exp(a - joined)[:, None] + over * tl.exp(b - joined)[:, None]
    tl.store(out + there * heads * HEAD + place, mixed.to(out.dtype.element_ty), mask=both)


def score(logits: Tensor, targets: Tensor, heat: float) -> tuple[Tensor, Tensor, Tensor]:
    rows, vocabulary = logits.shape
    logp, log, entropy = (logits.new_empty(rows, dtype=torch.float32) for _ in range(3))
    _score[(rows,)](logits, targets, logp, log, entropy, heat, vocabulary, BLOCK=VOCABULARY, num_warps=8)
    return logp, log, entropy


@triton.jit
def _score(logits, targets, logp, log, entropy, heat, vocabulary, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    top = tl.full((BLOCK,), -1e30, tl.float32)
    summed, weighed = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for n in range(0, vocabulary, BLOCK):
        at = n + tl.arange(0, BLOCK)
        on = at < vocabulary
        x = tl.load(logits + row * vocabulary + at, mask=on, other=-1e30).to(tl.float32) / heat
        higher = tl.maximum(top, x)
        shrink, p = tl.exp(top - higher), tl.where(on, tl.exp(x - higher), 0.0)
        summed = summed * shrink + p
        weighed = weighed * shrink + tl.where(on, p * x, 0.0)
        top = higher
    best = tl.max(top, axis=0)
    scale = tl.exp(top - best)
    total = tl.sum(summed * scale, axis=0)
    found = best + tl.log(total)
    target = tl.load(targets + row)
    tl.store(log + row, found)
    tl.store(logp + row, tl.load(logits + row * vocabulary + target).to(tl.float32) / heat - found)
    tl.store(entropy + row, found - tl.sum(weighed * scale, axis=0) / total)


def score_backward(logits: Tensor, targets: Tensor, log: Tensor, g: Tensor, heat: float) -> Tensor:
    rows, vocabulary = logits.shape
    grid = (rows, triton.cdiv(vocabulary, VOCABULARY))
    _score_backward[grid](logits, targets, log, g.contiguous(), heat, vocabulary, BLOCK=VOCABULARY, num_warps=8)
    return logits


@triton.jit
def _score_backward(logits, targets, log, g, heat, vocabulary, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    on = at < vocabulary
    here = logits + row * vocabulary + at
    p = tl.exp(tl.load(here, mask=on, other=-1e30).to(tl.float32) / heat - tl.load(log + row))
    hit = (at == tl.load(targets + row)).to(tl.float32)
    tl.store(here, (tl.load(g + row) / heat * (hit - p)).to(logits.dtype.element_ty), mask=on)
