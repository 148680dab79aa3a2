"""The decoding step's kernels between its products, in Triton, for a GPU. decode_ops.py says what each computes.

Imported only where Triton is. Every kernel reads its row's place from tensors, so that a captured step fits any batch.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from sharpen.models.engine.decode_ops import CHUNK, Rows

KEYS = 64  # keys of one row that a program looks at together
PROGRAMS = 264  # two for each multiprocessor of a large GPU: with fewer rows, a row's keys are split
SPLITS = 16


def add_norm(x: Tensor, delta: Tensor | None, weight: Tensor, eps: float) -> Tensor:
    out, width = torch.empty_like(x), x.shape[1]
    block = triton.next_power_of_2(width)
    given = x if delta is None else delta
    _add_norm[(len(x),)](x, given, weight, out, eps, width, delta is not None, block, num_warps=4 if block <= 2048 else 8)
    return out


@triton.jit
def _add_norm(x, delta, weight, out, eps, width, ADD: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    on = at < width
    place = tl.program_id(0).to(tl.int64) * width + at
    value = tl.load(x + place, mask=on, other=0.0)
    if ADD:
        value = (value.to(tl.float32) + tl.load(delta + place, mask=on, other=0.0).to(tl.float32)).to(x.dtype.element_ty)
        tl.store(x + place, value, mask=on)
    wide = value.to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(wide * wide, axis=0) / width + eps)
    w = tl.load(weight + at, mask=on, other=0.0).to(tl.float32)
    tl.store(out + place, (wide * scale * w).to(out.dtype.element_ty), mask=on)


def place(rows: Rows, qkv: Tensor, k: Tensor, v: Tensor, norms: tuple[Tensor, Tensor, float] | None) -> Tensor:
    groups, head = k.shape[1:]
    heads = qkv.shape[1] // head - 2 * groups
    q = qkv.new_empty((len(qkv), heads, head))
    q_norm, k_norm, eps = norms or (qkv, qkv, 0.0)
    sizes: dict[str, Any] = dict(HEADS=heads, GROUPS=groups, HALF=head // 2, BLOCK=triton.next_power_of_2(heads + 2 * groups))
    state = (rows.plan, rows.slot, rows.prompt_n)
    _place[(len(qkv),)](qkv, q, k, v, q_norm, k_norm, eps, rows.cos, rows.sin, *state, NORM=norms is not None, **sizes)
    return q


@triton.jit
def _place(
    qkv, q, k, v, q_norm, k_norm, eps, cos, sin, plan, slots, prompt_n,
    NORM: tl.constexpr, HEADS: tl.constexpr, GROUPS: tl.constexpr, HALF: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + row)
    behind = tl.load(plan) - 1
    position = tl.load(prompt_n + slot) + behind
    address = tl.load(plan + 2) + slot * tl.load(plan + 1) + behind
    head, at = tl.arange(0, BLOCK)[:, None], tl.arange(0, HALF)[None, :]
    on = (head < HEADS + 2 * GROUPS) & (at < HALF)
    here = qkv + row * (HEADS + 2 * GROUPS) * 2 * HALF + head * 2 * HALF + at
    first, second = tl.load(here, mask=on, other=0.0), tl.load(here + HALF, mask=on, other=0.0)
    a, b = first.to(tl.float32), second.to(tl.float32)
    if NORM:
        scale = 1.0 / tl.sqrt((tl.sum(a * a, axis=1) + tl.sum(b * b, axis=1)) / (2 * HALF) + eps)[:, None]
        asks = head < HEADS
        w_a = tl.where(asks, tl.load(q_norm + at).to(tl.float32), tl.load(k_norm + at).to(tl.float32))
        w_b = tl.where(asks, tl.load(q_norm + HALF + at).to(tl.float32), tl.load(k_norm + HALF + at).to(tl.float32))
        a = (a * scale * w_a).to(q.dtype.element_ty).to(tl.float32)
        b = (b * scale * w_b).to(q.dtype.element_ty).to(tl.float32)
    c, s = tl.load(cos + position * HALF + at), tl.load(sin + position * HALF + at)
    turned_a, turned_b = (a * c - b * s).to(q.dtype.element_ty), (b * c + a * s).to(q.dtype.element_ty)
    to_q = q + row * HEADS * 2 * HALF + head * 2 * HALF + at
    tl.store(to_q, turned_a, mask=on & (head < HEADS))
    tl.store(to_q + HALF, turned_b, mask=on & (head < HEADS))
    to_k = k + address * GROUPS * 2 * HALF + (head - HEADS) * 2 * HALF + at
    key = on & (head >= HEADS) & (head < HEADS + GROUPS)
    tl.store(to_k, turned_a, mask=key)
    tl.store(to_k + HALF, turned_b, mask=key)
    to_v = v + address * GROUPS * 2 * HALF + (head - HEADS - GROUPS) * 2 * HALF + at
    tl.store(to_v, first, mask=on & (head >= HEADS + GROUPS))
    tl.store(to_v + HALF, second, mask=on & (head >= HEADS + GROUPS))


def attend(rows: Rows, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    n, heads, head = q.shape
    groups = k.shape[1]
    splits = min(max(triton.cdiv(PROGRAMS, n * groups), 1), SPLITS)
    out = torch.empty_like(q)
    parts = q.new_empty((splits, n, heads, head), dtype=torch.float32) if splits > 1 else out
    logs = q.new_empty((splits, n, heads) if splits > 1 else (1,), dtype=torch.float32)
    shared = heads // groups
    sizes = dict(SHARED=shared, WIDE=max(triton.next_power_of_2(shared), 16), HEAD=head, SPLITS=splits, BLOCK=KEYS)
    state = (rows.plan, rows.slot, rows.prompt_at, rows.prompt_n)
    _attend[(n, groups, splits)](q, k, v, parts, logs, head**-0.5, *state, n, groups, **sizes, num_warps=4, num_stages=3)
    if splits > 1:
        _join[(n, heads)](parts, logs, out, n * heads, HEAD=head, SPLITS=splits, BLOCK=triton.next_power_of_2(splits))
    return out.flatten(1)


@triton.jit
def _attend(
    q, k, v, out, logs, scale, plan, slots, prompt_at, prompt_n, rows, groups,
    SHARED: tl.constexpr, WIDE: tl.constexpr, HEAD: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, group, split = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    slot = tl.load(slots + row)
    first, before = tl.load(prompt_at + slot), tl.load(prompt_n + slot)
    own = tl.load(plan + 2) + slot * tl.load(plan + 1) - before
    total = before + tl.load(plan)
    share = tl.cdiv(tl.cdiv(total, SPLITS), BLOCK) * BLOCK
    begin = split * share
    end = tl.minimum(begin + share, total)
    at, wide = tl.arange(0, HEAD), tl.arange(0, WIDE)
    place = row * groups * SHARED * HEAD + (group * SHARED + wide[:, None]) * HEAD + at[None, :]
    asked = tl.load(q + place, mask=wide[:, None] < SHARED, other=0.0)
    best = tl.full((WIDE,), -1e30, tl.float32)
    summed = tl.zeros((WIDE,), tl.float32)
    mixed = tl.zeros((WIDE, HEAD), tl.float32)
    for n in range(begin, end, BLOCK):
        key = n + tl.arange(0, BLOCK)
        on = key < end
        address = (tl.where(key < before, first, own) + key) * groups * HEAD + group * HEAD
        keys = tl.load(k + address[:, None] + at[None, :], mask=on[:, None], other=0.0)
        scores = tl.where(on[None, :], tl.dot(asked, tl.trans(keys), input_precision="ieee") * scale, -1e30)
        higher = tl.maximum(best, tl.max(scores, axis=1))
        shrink = tl.exp(best - higher)
        weights = tl.where(on[None, :], tl.exp(scores - higher[:, None]), 0.0)
        values = tl.load(v + address[:, None] + at[None, :], mask=on[:, None], other=0.0)
        summed = summed * shrink + tl.sum(weights, axis=1)
        mixed = mixed * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        best = higher
    mixed = mixed / tl.maximum(summed, 1e-30)[:, None]
    if SPLITS == 1:
        tl.store(out + place, mixed.to(out.dtype.element_ty), mask=wide[:, None] < SHARED)
    else:
        part = split * rows * groups * SHARED
        tl.store(out + part * HEAD + place, mixed, mask=wide[:, None] < SHARED)
        log = tl.where(summed > 0, best + tl.log(tl.maximum(summed, 1e-30)), -1e30)
        tl.store(logs + part + row * groups * SHARED + group * SHARED + wide, log, mask=wide < SHARED)


@triton.jit
def _join(parts, logs, out, size, HEAD: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr):
    here = tl.program_id(0).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    part, at = tl.arange(0, BLOCK), tl.arange(0, HEAD)
    log = tl.load(logs + part * size + here, mask=part < SPLITS, other=-1e30)
    weight = tl.exp(log - tl.max(log, axis=0))
    weight = weight / tl.sum(weight, axis=0)
    place = (part[:, None] * size + here) * HEAD + at[None, :]
    mixed = tl.load(parts + place, mask=part[:, None] < SPLITS, other=0.0)
    tl.store(out + here * HEAD + at, tl.sum(mixed * weight[:, None], axis=0).to(out.dtype.element_ty))


def gate(both: Tensor) -> Tensor:
    inner = both.shape[1] // 2
    out = both.new_empty((len(both), inner))
    _gate[(len(both), triton.cdiv(inner, 1024))](both, out, inner, BLOCK=1024, num_warps=4)
    return out


@triton.jit
def _gate(both, out, inner, BLOCK: tl.constexpr):
    row, at = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    on = at < inner
    opening = tl.load(both + row * 2 * inner + at, mask=on, other=0.0).to(tl.float32)
    value = tl.load(both + row * 2 * inner + inner + at, mask=on, other=0.0).to(tl.float32)
    # The trainer rounds silu(opening) before it multiplies; so does this.
    opened = (opening * tl.sigmoid(opening)).to(out.dtype.element_ty).to(tl.float32)
    tl.store(out + row * inner + at, (opened * value).to(out.dtype.element_ty), mask=on)


def draw(rows: Rows, logits: Tensor, cuts: bool) -> None:
    n, vocabulary = logits.shape
    chunks = triton.cdiv(vocabulary, CHUNK)
    best, summed = (logits.new_empty((n, chunks), dtype=torch.float32) for _ in range(2))
    where = torch.empty((n, chunks), dtype=torch.int32, device=logits.device)
    short = logits.dtype != torch.float32
    how = (rows.slot, rows.temperature, rows.lowest, rows.floor)
    block = triton.next_power_of_2(chunks)
    for cut in (False, True) if cuts else (False,):
        if cut:
            args = (rows.slot, rows.temperature, rows.top_k, rows.top_p, rows.min_p, rows.lowest, rows.floor)
            sizes = dict(CHUNKS=chunks, BLOCK=block, SHORT=short, STEP=4096)
            _cut[(n,)](logits, best, summed, *args, vocabulary, **sizes, num_warps=16)
        _stats[(n, chunks)](
            logits, best, summed, where, *how, vocabulary, chunks, CUT=cut, SHORT=short, BLOCK=CHUNK, num_warps=8
        )
    state = (rows.plan, rows.slot, rows.greedy, rows.noise, rows.limit, rows.ends, len(rows.ends))
    out = (rows.token, rows.tokens, rows.logprobs, rows.length)
    sizes = dict(CUT=cuts, SHORT=short, BLOCK=block, INNER=CHUNK)
    _pick[(n,)](logits, best, summed, where, *how[1:], *state, *out, vocabulary, chunks, **sizes, num_warps=8)
    rows.plan[0].add_(1)


@triton.jit
def _key(logit, SHORT: tl.constexpr):
    """Whole numbers in the order of the logits: 16 bits of them where these are bfloat16."""
    bits = logit.to(tl.float32).to(tl.int32, bitcast=True)
    key = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return key >> 16 if SHORT else key


@triton.jit
def _stats(
    logits, best, summed, where, slots, temperature, lowest, floor, vocabulary, chunks,
    CUT: tl.constexpr, SHORT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    slot = tl.load(slots + row)
    at = chunk * BLOCK + tl.arange(0, BLOCK)
    on = at < vocabulary
    logit = tl.load(logits + row * vocabulary + at, mask=on, other=float("-inf"))
    x = logit.to(tl.float32) / tl.load(temperature + slot)
    if CUT:
        on = on & (_key(logit, SHORT) >= tl.load(floor + slot)) & (x >= tl.load(lowest + slot))
        x = tl.where(on, x, float("-inf"))
    top = tl.max(x, axis=0)
    tl.store(best + row * chunks + chunk, top)
    tl.store(where + row * chunks + chunk, chunk * BLOCK + tl.argmax(x, axis=0).to(tl.int32))
    safe = tl.where(top == float("-inf"), 0.0, top)
    tl.store(summed + row * chunks + chunk, tl.sum(tl.exp(x - safe), axis=0))


@triton.jit
def _cut(
    logits, best, summed, slots, temperature, top_k, top_p, min_p, lowest, floor, vocabulary,
    CHUNKS: tl.constexpr, BLOCK: tl.constexpr, SHORT: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + row)
    part = tl.arange(0, BLOCK)
    tops = tl.load(best + row * CHUNKS + part, mask=part < CHUNKS, other=float("-inf"))
    sums = tl.load(summed + row * CHUNKS + part, mask=part < CHUNKS, other=0.0)
    top = tl.max(tops, axis=0)
    total = tl.sum(tl.where(tops == float("-inf"), 0.0, sums * tl.exp(tops - top)), axis=0)
    heat, k, p = tl.load(temperature + slot), tl.load(top_k + slot), tl.load(top_p + slot)
    low, high = tl.full((), -(2**15), tl.int64), tl.full((), 2**15 - 1, tl.int64)
    if not SHORT:
        low, high = tl.full((), -(2**31), tl.int64), tl.full((), 2**31 - 1, tl.int64)
    if (k > vocabulary) & (p > 1):
        high = low
    while low < high:  # the least key above which fewer than k tokens lie, with less than p of the probability
        middle = (low + high) >> 1
        count, mass = tl.zeros((STEP,), tl.int32), tl.zeros((STEP,), tl.float32)
        for n in range(0, vocabulary, STEP):
            at = n + tl.arange(0, STEP)
            logit = tl.load(logits + row * vocabulary + at, mask=at < vocabulary, other=float("-inf"))
            above = (_key(logit, SHORT).to(tl.int64) > middle) & (at < vocabulary)
            count += above.to(tl.int32)
            mass += tl.where(above, tl.exp(logit.to(tl.float32) / heat - top), 0.0)
        if (tl.sum(count, axis=0) < k) & (tl.sum(mass, axis=0) < p * total):
            high = middle
        else:
            low = middle + 1
    tl.store(floor + slot, low.to(tl.int32))
    least = tl.load(min_p + slot)
    tl.store(lowest + slot, tl.where(least > 0, top + tl.log(tl.maximum(least, 1e-30)), float("-inf")))


@triton.jit
def _pick(
    logits, best, summed, where, temperature, lowest, floor, plan, slots, greedy, noise, limit, ends, n_ends,
    token, tokens, logprobs, length, vocabulary, chunks,
    CUT: tl.constexpr, SHORT: tl.constexpr, BLOCK: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + row)
    step, capacity = tl.load(plan), tl.load(plan + 1)
    part = tl.arange(0, BLOCK)
    tops = tl.load(best + row * chunks + part, mask=part < chunks, other=float("-inf"))
    sums = tl.load(summed + row * chunks + part, mask=part < chunks, other=0.0)
    top = tl.max(tops, axis=0)
    share = tl.where(tops == float("-inf"), 0.0, sums * tl.exp(tops - top)).to(tl.float64)
    total = tl.cumsum(share, axis=0)
    everything = tl.sum(share, axis=0)
    goal = tl.load(noise + slot * capacity + step) * everything
    last = tl.max(tl.where(share > 0, part, 0), axis=0)
    chunk = tl.minimum(tl.sum(((total <= goal) & (part < chunks)).to(tl.int32), axis=0), last)
    before = tl.sum(tl.where(part < chunk, share, 0.0), axis=0)
    inner = tl.arange(0, INNER)
    at = chunk * INNER + inner
    heat = tl.load(temperature + slot)
    logit = tl.load(logits + row * vocabulary + at, mask=at < vocabulary, other=float("-inf"))
    x = logit.to(tl.float32) / heat
    if CUT:
        x = tl.where((_key(logit, SHORT) >= tl.load(floor + slot)) & (x >= tl.load(lowest + slot)), x, float("-inf"))
    p = tl.exp(x - top).to(tl.float64)
    passed = tl.cumsum(p, axis=0)
    final = tl.max(tl.where(p > 0, inner, 0), axis=0)
    found = tl.minimum(tl.sum((passed <= goal - before).to(tl.int32), axis=0), final)
    chosen = chunk * INNER + found
    if tl.load(greedy + slot) != 0:
        chosen = tl.min(
            tl.where(tops == top, tl.load(where + row * chunks + part, mask=part < chunks, other=0), vocabulary), axis=0
        )
    reached = tl.load(logits + row * vocabulary + chosen).to(tl.float32) / heat
    tl.store(token + row, chosen.to(tl.int64))
    tl.store(tokens + slot * capacity + step, chosen.to(tl.int32))
    tl.store(logprobs + slot * capacity + step, reached - top - tl.log(everything.to(tl.float32)))
    ended = (step + 1 >= tl.load(limit + slot)).to(tl.int32)
    for i in range(n_ends):
        ended = ended | (chosen == tl.load(ends + i)).to(tl.int32)
    if (ended != 0) & (tl.load(length + slot) == 0):
        tl.store(length + slot, step + 1)
