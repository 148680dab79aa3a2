"""Training passes on a GPU: few kernels, and no more kept for the backward pass than it needs.

1. `attend` is flash attention over stretches: every beginning and every remainder of a pack sees itself, the remainders see
   their beginning, and both halves are joined by their softmax's logarithms. No key is copied, no mask made.
2. `mlp` and `together` are one product for the weights that `transformer.fuse` laid side by side. What lies between an MLP's
   products is computed again in the backward pass.
3. `score` is the output layer with its cross-entropy, in chunks, forwards and backwards: logits exist in the model's own
   precision only, and their gradient takes their place.

What each does between the products stands below in torch, and in train_kernels.py in Triton.

Dimensions: N tokens, D width, I inner width, H query heads, G key/value heads, E head width, M trained tokens, V vocabulary.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

DEVICES = ("cuda",)
LOGIT_BYTES = 5 * 2**28  # logits that exist at once


def usable(x: Tensor) -> bool:
    return x.device.type in DEVICES


@cache
def kernels() -> ModuleType:
    """train_kernels.py; where Triton is not installed, the functions below."""
    try:
        from sharpen.models.engine import train_kernels
    except ImportError:
        return sys.modules[__name__]
    return train_kernels


def ops(x: Tensor) -> ModuleType:
    return kernels() if x.is_cuda else sys.modules[__name__]


def gate(both: Tensor) -> Tensor:
    """silu(opening) * value, (N, I) of both side by side (N, 2 I)."""
    opening, value = both.chunk(2, dim=1)
    return F.silu(opening) * value


def gate_backward(both: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Its gradient (N, 2 I) and, once more, its value (N, I)."""
    opening, value = both.chunk(2, dim=1)
    share = opening.sigmoid()
    d_opening = g * value * share * (1 + opening * (1 - share))
    return torch.cat((d_opening, g * opening * share), dim=1), F.silu(opening) * value


def rotate(x: Tensor, cos: Tensor, sin: Tensor, way: float) -> Tensor:
    """(N, heads, E) turned by angles of cosine and sine (N, E/2), or back where `way` is -1."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = cos[:, None], way * sin[:, None]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def score(logits: Tensor, targets: Tensor, heat: float) -> tuple[Tensor, Tensor, Tensor]:
    """Of logits (M, V) at a temperature: log-probabilities of the targets, logarithms of the softmax, entropies; (M,) each."""
    x = logits.float() / heat
    log = x.logsumexp(-1)
    return x.gather(1, targets[:, None]).squeeze(1) - log, log, log - ((x - log[:, None]).exp() * x).sum(-1)


def score_backward(logits: Tensor, targets: Tensor, log: Tensor, g: Tensor, heat: float) -> Tensor:
    """The gradient of the logits from that of the log-probabilities (M,), written over them."""
    p = (logits.float() / heat - log[:, None]).exp().neg_()
    p[torch.arange(len(p), device=p.device), targets] += 1
    return logits.copy_(p * (g / heat)[:, None])


def join(out: Tensor, log: Tensor, more: Tensor, more_log: Tensor, at: Tensor) -> None:
    """Make outputs (N, H, E) and softmax's logarithms (H, N), at these numbers, those over the keys of both parts."""
    own = log[:, at]
    joined = torch.logaddexp(own, more_log)
    shares = [(part - joined).exp().t()[..., None] for part in (own, more_log)]
    out[at] = (out[at] * shares[0] + more * shares[1]).to(out.dtype)
    log[:, at] = joined


def mlp(x: Tensor, opening: Any, value: Any, closing: Any, block: Tensor) -> Tensor:
    """SwiGLU MLP of x (N, D); `block` is the weights of the layers `opening` and `value` as one."""
    return _Mlp.apply(x, opening.weight, value.weight, closing.weight, block)


class _Mlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, opening: Tensor, value: Tensor, closing: Tensor, block: Tensor) -> Tensor:
        both = F.linear(x, block)
        ctx.save_for_backward(x, both, closing, block)
        return F.linear(ops(x).gate(both), closing)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        x, both, closing, block = ctx.saved_tensors
        d_both, inside = ops(x).gate_backward(both, g @ closing)
        d_closing = g.t() @ inside if ctx.needs_input_grad[3] else None
        d_block = (d_both.t() @ x).chunk(2) if ctx.needs_input_grad[1] else (None, None)
        return d_both @ block, *d_block, d_closing, None


def together(x: Tensor, layers: Sequence[Any], block: tuple[Tensor, Tensor | None]) -> Sequence[Tensor]:
    """What each of these layers makes of x (N, D), by one product; `block` is their weights and biases as one."""
    parts = [layer.weight for layer in layers]
    biases = [layer.bias for layer in layers] if block[1] is not None else []
    return _Together.apply(x, [len(w) for w in parts], *block, *parts, *biases)


class _Together(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, widths: list[int], weight: Tensor, bias: Tensor | None, *parts: Tensor) -> Any:
        ctx.save_for_backward(x, weight)
        ctx.widths, ctx.biased = widths, bias is not None
        *parts_of, last = F.linear(x, weight, bias).split(widths, dim=-1)
        return *parts_of, last.clone()  # values are kept for the backward pass, and would keep queries and keys beside them

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        g = torch.cat(gradients, dim=-1)
        parts: list[Any] = [None] * (len(ctx.widths) * (1 + ctx.biased))
        if ctx.needs_input_grad[4]:
            parts = [*(g.t() @ x).split(ctx.widths), *(g.sum(0).split(ctx.widths) if ctx.biased else ())]
        return g @ weight, None, None, None, *parts


class Rotate(torch.autograd.Function):
    """`rotate` with its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return ops(x).rotate(x, cos, sin, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        cos, sin = ctx.saved_tensors
        return ops(g).rotate(g, cos, sin, -1.0), None, None


def log_probabilities(head: Tensor, states: Tensor, targets: Tensor, heat: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities (M,) float32 of the targets after states (M, D), and without gradient entropies (M,) in nats.

    head  (V, D), the output layer's weights
    heat  temperature of both
    """
    return _Score.apply(states, head, targets, heat)


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, head: Tensor, targets: Tensor, heat: float) -> Any:
        rows = max(LOGIT_BYTES // (len(head) * head.itemsize), 1)
        found, logits = [], None
        for part, wanted in zip(states.split(rows), targets.split(rows), strict=True):
            logits = F.linear(part, head)
            found.append(ops(states).score(logits, wanted, heat))
        logp, log, entropy = (torch.cat(values) for values in zip(*found, strict=True))
        ctx.save_for_backward(states, head, targets, log)
        ctx.heat, ctx.rows = heat, rows
        ctx.logits = logits if len(found) == 1 and any(ctx.needs_input_grad[:2]) else None  # computed again where cut
        ctx.mark_non_differentiable(entropy)
        return logp, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, _: Tensor) -> Any:
        states, head, targets, log = ctx.saved_tensors
        d_states, d_head = torch.empty_like(states), None
        kept, ctx.logits = ctx.logits, None
        for first in range(0, len(states), ctx.rows):
            at = slice(first, first + ctx.rows)
            logits = F.linear(states[at], head) if kept is None else kept
            ops(states).score_backward(logits, targets[at], log[at], g[at], ctx.heat)
            torch.mm(logits, head, out=d_states[at])
            if ctx.needs_input_grad[1]:
                d_head = logits.t() @ states[at] if d_head is None else d_head.addmm_(logits.t(), states[at])
        return d_states, d_head, None, None


@dataclass(frozen=True)
class Stretches:
    """Which stretches of a pack see which, for flash attention. Boundaries are cumulative, int32, and begin with 0.

    every         boundaries of all beginnings and remainders; each sees itself
    first, after  boundaries of the beginnings that are continued, and of all that continues each
    continuing    numbers in the pack of the tokens behind a beginning
    keys, queries the places of those of `first` and of `after`: slices where that is all there is, else numbers
    longest       of every, first and after
    """

    every: Tensor
    first: Tensor
    after: Tensor
    continuing: Tensor
    keys: slice | Tensor
    queries: slice | Tensor
    longest: tuple[int, int, int]


def stretches(firsts: Sequence[int], remainders: Sequence[int], origin: Sequence[int], device: Any) -> Stretches:
    """From lengths of beginnings, laid end to end, and of the rows behind all of them; `origin` is each row's beginning."""
    first, behind, source = (np.array(a, dtype=np.int64) for a in (firsts, remainders, origin))
    every = np.concatenate((first, behind)) if first.any() else behind
    at = first.sum() + behind.cumsum() - behind
    after = np.bincount(source, weights=behind, minlength=len(first)).astype(np.int64)
    both = np.flatnonzero((first > 0) & (after > 0))
    rows = [i for i in np.argsort(source, kind="stable") if first[source[i]] > 0]
    starts = first.cumsum() - first

    def spans(begin: np.ndarray, n: np.ndarray) -> np.ndarray:
        parts = [np.arange(a, a + b) for a, b in zip(begin, n, strict=True)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def put(a: np.ndarray, kind: Any) -> Tensor:
        found = torch.from_numpy(a.astype(kind))
        return found.pin_memory().to(device, non_blocking=True) if torch.device(device).type == "cuda" else found.to(device)

    def boundaries(n: np.ndarray) -> Tensor:
        return put(np.concatenate(([0], n.cumsum())), np.int32)

    longest = tuple(int(n.max(initial=0)) for n in (every, first[both], after[both]))
    continued, continuing = spans(starts[both], first[both]), spans(at[rows], behind[rows])
    before, whole = int(first.sum()), int(every.sum())
    plain = len(continued) == before and np.array_equal(continuing, np.arange(before, whole))
    numbers = put(continuing, np.int64)
    return Stretches(
        boundaries(every),
        boundaries(first[both]),
        boundaries(after[both]),
        numbers,
        slice(0, before) if plain else put(continued, np.int64),
        slice(before, whole) if plain else numbers,
        (longest[0], longest[1], longest[2]),
    )


class Flash:
    """torch's flash attention on stretches: outputs (N, H, E), logarithms of the softmax (H, N), and their gradient."""

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, ends: Sequence[Tensor], longest: Sequence[int], causal: bool) -> Any:
        made = torch.ops.aten._flash_attention_forward(q, k, v, *ends, *longest, 0.0, causal, False)
        return made[0], made[1], made[2:4]

    @staticmethod
    def backward(
        g: Tensor, given: Sequence[Tensor], ends: Sequence[Tensor], longest: Sequence[int], causal: bool, state: Any
    ) -> Any:
        """given: q, k, v, output, logarithms; state: what `forward` returned last."""
        return torch.ops.aten._flash_attention_backward(g, *given, *ends, *longest, 0.0, causal, *state)


def flashes(q: Tensor) -> bool:
    return q.is_cuda and q.dtype in (torch.bfloat16, torch.float16) and q.shape[-1] % 8 == 0 and q.shape[-1] <= 256


def attend(q: Tensor, k: Tensor, v: Tensor, where: Stretches, kernel: Any = Flash) -> Tensor:
    """Causal attention within rows: (N, H, E) from q (N, H, E) and k, v (N, G, E)."""
    return _Attend.apply(q, k, v, where, kernel)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, where: Stretches, kernel: Any) -> Tensor:
        every = ((where.every, where.every), (where.longest[0],) * 2)
        out, log, ctx.state = kernel.forward(q, k, v, *every, True)
        if len(where.continuing):
            over = ((where.after, where.first), (where.longest[2], where.longest[1]))
            given = (q[where.queries], k[where.keys], v[where.keys])
            more, more_log, ctx.more_state = kernel.forward(*given, *over, False)
            ops(q).join(out, log, more, more_log, where.continuing)
        ctx.save_for_backward(q, k, v, out, log)
        ctx.where, ctx.kernel = where, kernel
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        q, k, v, out, log = ctx.saved_tensors
        where, kernel, g = ctx.where, ctx.kernel, g.contiguous()
        every = ((where.every, where.every), (where.longest[0],) * 2)
        # The joined outputs and logarithms make each half's gradient that of the whole softmax.
        dq, dk, dv = kernel.backward(g, (q, k, v, out, log), *every, True, ctx.state)
        if len(where.continuing):
            after, first = where.queries, where.keys
            over = ((where.after, where.first), (where.longest[2], where.longest[1]))
            given = (q[after], k[first], v[first], out[after], log[:, after].contiguous())
            more = kernel.backward(g[after], given, *over, False, ctx.more_state)
            for whole, at, part in zip((dq, dk, dv), (after, first, first), more, strict=True):
                if isinstance(at, slice):
                    whole[at].add_(part)
                else:
                    whole.index_add_(0, at, part)
        return dq, dk, dv, None, None
