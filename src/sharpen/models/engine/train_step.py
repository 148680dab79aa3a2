"""What a small model does between its matrix products, forwards and backwards, with the functions of train_step.c.

torch's own operations do the same wherever these cannot (on a GPU those of train_fused.py): where no C compiler is, for widths
that are not whole vectors. What each computes is written in those lines, and the tests hold both beside each other. In bfloat16
what is computed in between is float, and so are angles and the sums of keys' and values' gradients.

Dimensions: N tokens, D width, H query heads, G key/value heads, E head width.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sharpen.models.engine import native, train_fused
from sharpen.models.engine.native import INTEGER, POINTER

KINDS = {torch.float32: "", torch.bfloat16: "_half"}  # and what ends the names of the functions for it


def _usable(*tensors: Tensor) -> ctypes.CDLL | None:
    """The library, where it takes these: of one kind on a processor, laid out one after the other, rows of whole vectors."""
    kind = tensors[0].dtype
    for t in tensors:
        if t.device.type != "cpu" or t.dtype != kind or kind not in KINDS or not t.is_contiguous():
            return None
    library = native.library()
    if library is None or not (library.parallel() or torch.get_num_threads() == 1):
        return None  # one thread in C is no match for torch's many
    return library if all(t.shape[-1] % library.lanes() == 0 for t in tensors) else None


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm of x (…, D) by weight (D,)."""
    if _usable(x, weight) is None:
        return F.rms_norm(x, (x.shape[-1],), weight, eps)
    return _Norm.apply(x, weight, eps)


def gate(opening: Tensor, value: Tensor) -> Tensor:
    """SwiGLU's product: silu(opening) * value, of one shape."""
    return F.silu(opening) * value if _usable(opening, value) is None else _Gate.apply(opening, value)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of (N, heads, E), angles as `transformer.rope` makes them: the first half of a head turns with
    its second half."""
    if train_fused.usable(x):
        return train_fused.Rotate.apply(x, cos[:, 0, 0], sin[:, 0, 1])
    if _usable(cos, sin) is None or _usable(x) is None:
        halves, cos, sin = x.unflatten(-1, (2, -1)), cos.to(x.dtype), sin.to(x.dtype)
        return torch.addcmul(halves * cos, halves.flip(-2), sin).flatten(-2)
    return _Rotate.apply(x, cos, sin)


def angles(x: Tensor) -> torch.dtype:
    """What the angles of x's rotation are kept in: float32 where the library takes them, for bfloat16 has not the digits."""
    return torch.float32 if _usable(x) is not None else x.dtype


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        y, scale = torch.empty_like(x), torch.empty(x.shape[:-1])
        _call("norm_forward", x.dtype, scale.numel(), x.shape[-1], x, weight, eps, y, scale)
        ctx.save_for_backward(x, weight, scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        x, weight, scale = ctx.saved_tensors
        dx, dweight = torch.empty_like(x), torch.zeros((torch.get_num_threads(), len(weight)))
        _call("norm_backward", x.dtype, scale.numel(), x.shape[-1], x, weight, scale, g.contiguous(), dx, dweight)
        return dx, dweight.sum(0).to(weight.dtype), None


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, opening: Tensor, value: Tensor) -> Tensor:
        y = torch.empty_like(opening)
        _call("gate_forward", y.dtype, y.numel(), opening, value, y)
        ctx.save_for_backward(opening, value)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        opening, value = ctx.saved_tensors
        d_opening, d_value = torch.empty_like(opening), torch.empty_like(value)
        _call("gate_backward", opening.dtype, opening.numel(), opening, value, g.contiguous(), d_opening, d_value)
        return d_opening, d_value


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        cos, sin = ctx.saved_tensors
        return _rotated(g.contiguous(), cos, sin, -1.0), None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, way: float) -> Tensor:
    y = torch.empty_like(x)
    _call("rotate", x.dtype, *x.shape, x, cos, sin, way, y)
    return y


def _call(name: str, kind: torch.dtype, *given: Any) -> None:
    """A function of the library, tensors by address, in as many threads as torch has."""
    arguments = [g.data_ptr() if isinstance(g, Tensor) else g for g in given]
    getattr(native.library(), name + KINDS[kind])(*arguments, torch.get_num_threads())


class _Shape(ctypes.Structure):
    _fields_ = [
        *((name, INTEGER) for name in ("heads", "groups", "head", "families", "longest_first", "longest")),
        *((name, POINTER) for name in ("first_at", "first_n", "rows", "at", "n")),
    ]


class _Numbers(ctypes.Structure):
    _fields_ = [(name, POINTER) for name in ("q", "k", "v", "out", "g", "logs", "dq", "dk", "dv")]


class Families:
    """Which stretches of a pack attend to which: rows by the beginning that they share.

    first_at, first_n  (F,) where each beginning lies, and its tokens; 0 tokens where the rows share none
    rows               (F + 1,) the rows of each, as places in:
    at, n              (R,) where each row lies behind its beginning, and its tokens
    """

    def __init__(self, firsts: Sequence[int], remainders: Sequence[int], origin: Sequence[int]):
        """Lengths of the beginnings, laid end to end, and of the rows behind all of them; `origin` is each row's beginning."""
        self.given = (firsts, remainders, origin)
        order = np.argsort(origin, kind="stable")
        n, first_n = np.array(remainders, dtype=np.int64), np.array(firsts, dtype=np.int64)
        self.at, self.n = (first_n.sum() + n.cumsum() - n)[order], n[order]
        self.first_at, self.first_n = first_n.cumsum() - first_n, first_n
        self.rows = np.searchsorted(np.array(origin)[order], np.arange(len(first_n) + 1))

    def shape(self, heads: int, groups: int, head: int) -> _Shape:
        longest_first = int(self.first_n.max(initial=0))
        sizes = (heads, groups, head, len(self.first_n), longest_first, max(longest_first, int(self.n.max(initial=0))))
        return _Shape(*sizes, *(a.ctypes.data for a in (self.first_at, self.first_n, self.rows, self.at, self.n)))


def _flops(shape: int, numbers: int, back: int, *_: Any) -> float:
    """Operations of attention's products: two on the way there, five on the way back."""
    s = _Shape.from_address(shape)

    def array(address: int, n: int) -> np.ndarray:
        return np.ctypeslib.as_array((INTEGER * n).from_address(address)).astype(float)

    rows = array(s.rows, s.families + 1).astype(int)
    first, n = array(s.first_n, s.families), array(s.n, int(rows[-1]))
    seen = (first * first).sum() / 2 + (n * (n / 2 + np.repeat(first, np.diff(rows)))).sum()
    return float(2 * (5 if back else 2) * s.heads * s.head * seen)


native.FLOPS["attention"] = _flops


def attend(q: Tensor, k: Tensor, v: Tensor, families: Families) -> Tensor | None:
    """Causal attention within rows: (N, H, E) from q (N, H, E) and k, v (N, G, E). None where the library does not take it."""
    library = _usable(q, k, v)
    if library is None or q.shape[-1] % library.panel():
        return None
    return _Attend.apply(q, k, v, families)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, families: Families) -> Tensor:
        out, logs = torch.empty_like(q), torch.empty(q.shape[:2])
        _attention(families, (q, k, v, out, None, logs, None, None, None), back=0)
        ctx.save_for_backward(q, k, v, out, logs)
        ctx.families = families
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        q, k, v, out, logs = ctx.saved_tensors
        dq, (dk, dv) = torch.empty_like(q), (torch.zeros_like(t, dtype=torch.float32) for t in (k, v))
        _attention(ctx.families, (q, k, v, out, g.contiguous(), logs, dq, dk, dv), back=1)
        return dq, dk.to(k.dtype), dv.to(v.dtype), None


def _attention(families: Families, numbers: Sequence[Tensor | None], back: int) -> None:
    library, (q, k) = native.library(), numbers[:2]
    assert library is not None and q is not None and k is not None
    shape = families.shape(q.shape[1], k.shape[1], q.shape[2])
    addresses = _Numbers(*(None if t is None else t.data_ptr() for t in numbers))
    space = torch.empty((torch.get_num_threads(), library.attention_scratch(ctypes.addressof(shape))))
    described = (ctypes.addressof(shape), ctypes.addressof(addresses))
    function = getattr(library, "attention" + KINDS[q.dtype])
    function(*described, back, space.data_ptr(), space.shape[1], len(space))
