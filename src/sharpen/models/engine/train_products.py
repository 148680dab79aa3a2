"""Products of a bfloat16 training pass on a processor that has dot products of bfloat16: those of products.h.

Both sides are packed on the way, so that nothing has to be kept or renewed. The gradient of a weight is summed in float where
its `master` is (`gather`), without a copy in bfloat16 for each pass. Of the output layer nothing as large as the logits is kept
but e^logit, in bfloat16, from which both gradients come without another product with the vocabulary.

Everywhere else torch's operations do the same.

Dimensions: N tokens, I inputs, O outputs, D width, M trained tokens, V vocabulary.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sharpen.models.engine import native
from sharpen.models.engine.native import INTEGER, POINTER

WRITE, ADD, ROUND = range(3)  # as in vectors.h
STRETCH = 256  # as in products.h


def gather(image: nn.Parameter, master: Tensor) -> None:
    """Let the gradients of a bfloat16 weight be summed at the float32 weight that it is an image of."""
    image.master = master  # type: ignore[attr-defined]


def usable(x: Tensor) -> ctypes.CDLL | None:
    """The library, where it multiplies x (N, I): bfloat16 on a processor that has the instructions."""
    if x.device.type != "cpu" or x.dtype != torch.bfloat16 or x.dim() != 2 or not len(x) or x.shape[1] % 2:
        return None
    library = native.library()
    if library is None or not library.halves() or not (library.parallel() or torch.get_num_threads() == 1):
        return None
    return library


def _fits(library: ctypes.CDLL, weight: Tensor) -> bool:
    panel = library.panel()
    return weight.dtype == torch.bfloat16 and weight.is_contiguous() and not any(n % panel for n in weight.shape)


def project(layer: Any, x: Tensor) -> Tensor:
    """What a linear layer makes of x (N, I), with a LoRA adapter beside it or without: (N, O)."""
    library = usable(x)
    if library is None:
        return layer(x)
    if type(layer) is nn.Linear and _fits(library, layer.weight):
        y = _Project.apply(x.contiguous(), layer.weight)
        return y if layer.bias is None else y + layer.bias
    if _adapted(layer):
        y = project(layer.base_layer, x)
        for name in layer.active_adapters:
            y = torch.add(y, layer.lora_B[name](layer.lora_A[name](x)), alpha=layer.scaling[name])
        return y
    return layer(x)


def _adapted(layer: Any) -> bool:
    """Whether a layer is peft's, and what it does is that of `project`."""
    if type(getattr(layer, "base_layer", None)) is not nn.Linear or not hasattr(layer, "lora_A"):
        return False
    names = [name for name in layer.active_adapters if name in layer.lora_A]
    plain = all(type(layer.lora_dropout[n]) is nn.Identity and layer.lora_A[n].weight.dtype == torch.bfloat16 for n in names)
    dora = any(getattr(layer, "use_dora", {}).values()) or bool(getattr(layer, "lora_variant", {}))
    return names == list(layer.active_adapters) and plain and not (dora or layer.disable_adapters or layer.merged)


def embed(layer: Any, tokens: Tensor) -> Tensor:
    """The embeddings (N, D) of tokens (N,)."""
    if (
        type(layer) is nn.Embedding
        and hasattr(layer.weight, "master")
        and layer.weight.requires_grad
        and layer.padding_idx is None
    ):
        return _Embed.apply(tokens, layer.weight)
    return layer(tokens)


def _multiply(
    rows: int, columns: int, depth: int, a: Tensor, a_along: bool, b: Tensor, b_along: bool, c: Tensor, how: int
) -> None:
    library, threads, deep = native.library(), torch.get_num_threads(), depth + depth % 2
    assert library is not None
    tiles = torch.empty(deep * rows, dtype=torch.bfloat16)
    space = torch.empty(threads * deep * library.panel(), dtype=torch.bfloat16)
    sides = a.data_ptr(), a_along, b.data_ptr(), b_along
    library.multiply(rows, columns, depth, *sides, c.data_ptr(), how, tiles.data_ptr(), space.data_ptr(), threads)


native.FLOPS["multiply"] = lambda rows, columns, depth, *_: 2.0 * rows * columns * depth


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        y = x.new_empty((len(x), len(weight)))
        _multiply(len(x), len(weight), x.shape[1], x, True, weight, True, y, ROUND)
        ctx.save_for_backward(x, weight)
        ctx.master = getattr(weight, "master", None)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        g = g.contiguous()
        d_x = d_weight = None
        if ctx.needs_input_grad[0]:
            d_x = torch.empty_like(x)
            _multiply(len(g), x.shape[1], g.shape[1], g, True, weight, False, d_x, ROUND)
        if ctx.needs_input_grad[1]:
            sums, how = _sums(weight, ctx.master)
            _multiply(g.shape[1], x.shape[1], len(g), g, False, x, False, sums, how)
            d_weight = None if ctx.master is not None else sums.to(weight.dtype)
        return d_x, d_weight


def _sums(weight: Tensor, master: Tensor | None) -> tuple[Tensor, int]:
    """Where a weight's gradient goes, and how."""
    if master is None:
        return torch.empty(weight.shape), WRITE
    if master.grad is None:
        master.grad = torch.empty_like(master)
        return master.grad, WRITE
    return master.grad, ADD


class _Embed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.master = weight.master  # type: ignore[attr-defined]
        return weight.index_select(0, tokens)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        (tokens,) = ctx.saved_tensors
        if ctx.master.grad is None:
            ctx.master.grad = torch.zeros_like(ctx.master)
        ctx.master.grad.index_add_(0, tokens.to(ctx.master.device), g.to(ctx.master))
        return None, None


class _Output(ctypes.Structure):
    _fields_ = [
        *((name, INTEGER) for name in ("rows", "width", "vocabulary")),
        ("heat", ctypes.c_float),
        *((name, POINTER) for name in ("states", "head", "targets", "e", "most", "log")),
    ]


def scores(head: Tensor, states: Tensor) -> bool:
    """Whether `log_probabilities` takes an output layer's weights (V, D) and states (M, D)."""
    library = usable(states)
    whole = library is not None and not states.shape[1] % library.panel()
    return whole and head.dtype == torch.bfloat16 and head.is_contiguous()


def log_probabilities(head: Tensor, states: Tensor, targets: Tensor, heat: float) -> tuple[Tensor, Tensor]:
    """As `train_fused.log_probabilities`."""
    return _Score.apply(states.contiguous(), head, targets.long().contiguous(), heat)


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, head: Tensor, targets: Tensor, heat: float) -> Any:
        library, threads, (rows, width) = native.library(), torch.get_num_threads(), states.shape
        assert library is not None
        learns, stretches = any(ctx.needs_input_grad[:2]), -(-len(head) // STRETCH)
        e = torch.empty((stretches, rows, STRETCH) if learns else 0, dtype=torch.bfloat16)
        most, mean = (torch.empty(shape if learns else 0) for shape in ((stretches, rows), (rows, width)))
        logp, entropy, log = torch.empty((3, rows)).unbind()
        arrays = (t.data_ptr() for t in (states, head, targets, e, most, log))
        output = _Output(rows, width, len(head), heat, *arrays)
        space = torch.empty(library.output_scratch(ctypes.addressof(output), learns, threads))
        to = (logp.data_ptr(), entropy.data_ptr(), mean.data_ptr() if learns else None)
        library.output_forward(ctypes.addressof(output), *to, space.data_ptr(), threads)
        ctx.save_for_backward(states, head, targets, e, most, log, mean)
        ctx.heat, ctx.master = heat, getattr(head, "master", None)
        ctx.mark_non_differentiable(entropy)
        return logp, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, _: Tensor) -> Any:
        states, head, targets, e, most, log, mean = ctx.saved_tensors
        library, threads = native.library(), torch.get_num_threads()
        assert library is not None
        g, d_states, d_head = g.float().contiguous(), torch.empty_like(states), None
        if ctx.needs_input_grad[1]:
            if ctx.master is not None and ctx.master.grad is None:
                ctx.master.grad = torch.zeros_like(ctx.master)
            d_head = torch.zeros(head.shape) if ctx.master is None else ctx.master.grad
        arrays = (t.data_ptr() for t in (states, head, targets, e, most, log))
        output = _Output(*states.shape, len(head), ctx.heat, *arrays)
        space = torch.empty(library.output_back_scratch(ctypes.addressof(output), threads))
        to = (d_states.data_ptr(), None if d_head is None else d_head.data_ptr())
        library.output_backward(ctypes.addressof(output), g.data_ptr(), mean.data_ptr(), *to, space.data_ptr(), threads)
        return d_states, None if d_head is None or ctx.master is not None else d_head.to(head.dtype), None, None


def _output_flops(output: int) -> float:
    o = _Output.from_address(output)
    return 2.0 * o.rows * o.width * o.vocabulary


native.FLOPS["output_forward"] = lambda output, logp, entropy, mean, *_: _output_flops(output) * (1 if mean is None else 2)
native.FLOPS["output_backward"] = lambda output, g, mean, d_states, d_head, *_: _output_flops(output) * (d_head is not None)
