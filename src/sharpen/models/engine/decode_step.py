"""The decoding step of decode_step.c: for models of the Llama family on a processor, where a C compiler is. In fp32 for small
ones; in bfloat16 for all, adapters included.

Where there is none (native.py), or the model is another one, `pack` returns None and decoding takes the path of transformer.py.
`draw` draws the next tokens, whatever the model, in one call instead of twenty.

Products read a packed copy of the weights, made when they have changed (11 ms for 3.4 M parameters) and kept till then: `Kept`.

A row's numbers are summed in one order whatever stands beside it, so its logits do not depend on the batch by a single bit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sharpen.models.engine import native, transformer
from sharpen.models.engine.native import INTEGER, POINTER

# Bytes of packed weights. In fp32 the products are all that counts in larger models, and torch's are as good; in bfloat16 ours
# are faster, and beyond this the copy is too large to keep.
LARGEST = {torch.float32: 128 * 2**20, torch.bfloat16: 4 * 2**30}
DRAWN_TOGETHER = 2**15  # logits in a step from which more than one thread draws

LAYER = ("norm", "qkv_bias", "q_norm", "k_norm", "mlp_norm", "qkv", "out", "gate_up", "down")
SIZES = ("layers", "width", "heads", "groups", "head", "inner", "outputs")


class _Layer(ctypes.Structure):
    _fields_ = [(name, POINTER) for name in LAYER]


class _Model(ctypes.Structure):
    _fields_ = [
        *((name, INTEGER) for name in SIZES),
        ("eps", ctypes.c_double),
        *((name, POINTER) for name in ("embedding", "vocabulary", "norm", "layer")),
    ]


class _Cache(ctypes.Structure):
    _fields_ = [
        *((name, INTEGER) for name in ("used", "capacity", "blocks")),
        *((name, POINTER) for name in ("k", "v", "block_k", "block_v", "longest", "block", "prompt", "position", "cos", "sin")),
    ]


def _flops(model: int, cache: int, tokens: int, rows: int, *_: Any) -> float:
    """Operations of a step's products with the weights; those of attention are few beside them."""
    m = _Model.from_address(model)
    layer = m.width * (2 * m.heads + 2 * m.groups) * m.head + 3 * m.width * m.inner
    return float(2 * rows * (m.layers * layer + m.width * m.outputs))


native.FLOPS["step"] = _flops


def pack(model: Any) -> Packed | None:
    """The model's weights as the compiled step wants them, as they are now; None where it cannot take this model."""
    if model.device.type != "cpu" or model.dtype not in LARGEST or not transformer.supported(model):
        return None
    half = model.dtype == torch.bfloat16
    if model.dtype.itemsize * sum(p.numel() for p in model.parameters()) > LARGEST[model.dtype] or not _plain(model, half):
        return None
    config, found = model.config, native.library()
    if found is None or (half and not found.halves()):
        return None
    head = model.model.layers[0].self_attn.head_dim
    wide = (config.num_attention_heads + 2 * config.num_key_value_heads) * head
    panels = (config.hidden_size, wide, 2 * config.intermediate_size, *([head] if half else []))
    vectors = (head, config.intermediate_size)
    if any(n % found.panel() for n in panels) or any(n % found.lanes() for n in vectors):
        return None
    return Packed(model, found, head)


class Kept:
    """A model's packed weights, kept from one batch of generations to the next. Who changes the weights calls `forget`: the
    optimizer's fused step leaves no trace that could be looked for."""

    def __init__(self) -> None:
        self._packed: Packed | None = None

    def of(self, model: Any) -> Packed | None:
        """As `pack`, made where there is none."""
        self._packed = self._packed or pack(model)
        return self._packed

    def forget(self) -> None:
        """The weights have changed, or are about to: the memory is given back."""
        self._packed = None


def _plain(model: Any, adapted: bool) -> bool:
    """Whether every product is an nn.Linear, with biases on queries, keys and values at most; if `adapted`, or one with a LoRA
    adapter beside it."""
    for layer in model.model.layers:
        a, mlp = layer.self_attn, layer.mlp
        biased = [a.q_proj, a.k_proj, a.v_proj]
        others = [a.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj]
        if not all(type(one) is nn.Linear or (adapted and _adapters(one)) for one in (*biased, *others)):
            return False
        if any(one.bias is not None for one in others) or len({one.bias is None for one in biased}) > 1:
            return False
    return type(model.lm_head) is nn.Linear and model.lm_head.bias is None


def _adapters(linear: Any) -> list[str]:
    """The names of peft's LoRA adapters beside a linear layer."""
    return list(linear.lora_A) if type(getattr(linear, "base_layer", None)) is nn.Linear and hasattr(linear, "lora_A") else []


def _weight(linear: Any) -> Tensor:
    """The weights that compute what the layer does, its adapters merged."""
    weight = linear.weight.detach()
    for name in _adapters(linear):
        change = linear.lora_B[name].weight.detach().float() @ linear.lora_A[name].weight.detach().float()
        weight = (weight.float() + linear.scaling[name] * change).to(weight.dtype)
    return weight


class Packed:
    """A model's weights for the compiled step.

    It runs in as many threads as torch has; each takes a stretch of the rows through the whole step.
    """

    def __init__(self, model: Any, library: ctypes.CDLL, head: int):
        config, body = model.config, model.model
        self.library = library
        self.kept: list[Any] = []  # what the structures point to
        panel, self.half = library.panel(), model.dtype == torch.bfloat16
        make = library.pack_half if self.half else library.pack

        def plain(weight: Tensor) -> int:
            self.kept.append(weight.detach().contiguous())
            return int(self.kept[-1].data_ptr())

        def single(weight: Tensor) -> int:
            return plain(weight.detach().float())

        def panels(*weights: Tensor) -> int:
            if any(len(w) % panel for w in weights[:-1]):
                weights = (torch.cat(weights),)
            parts = [w.detach().contiguous() for w in weights]
            sizes = [len(w) for w in parts[:-1]] + [len(parts[-1]) + -len(parts[-1]) % panel]
            packed = torch.empty((sum(sizes), parts[0].shape[1]), dtype=model.dtype)
            for part, place in zip(parts, packed.split(sizes), strict=True):
                make(*part.shape, part.data_ptr(), place.data_ptr())
            return plain(packed)

        def layer(one: Any) -> dict[str, int]:
            a, mlp = one.self_attn, one.mlp
            bias = a.q_proj.bias
            return dict(
                norm=single(one.input_layernorm.weight),
                qkv=panels(_weight(a.q_proj), _weight(a.k_proj), _weight(a.v_proj)),
                qkv_bias=0 if bias is None else single(torch.cat((bias, a.k_proj.bias, a.v_proj.bias))),
                q_norm=single(a.q_norm.weight) if hasattr(a, "q_norm") else 0,
                k_norm=single(a.k_norm.weight) if hasattr(a, "k_norm") else 0,
                out=panels(_weight(a.o_proj)),
                mlp_norm=single(one.post_attention_layernorm.weight),
                gate_up=panels(_weight(mlp.gate_proj), _weight(mlp.up_proj)),
                down=panels(_weight(mlp.down_proj)),
            )

        with torch.inference_mode():
            layers = (_Layer * config.num_hidden_layers)(*(_Layer(**layer(one)) for one in body.layers))
            self.kept.append(layers)
            self.vocabulary = len(model.lm_head.weight)
            self.outputs = self.vocabulary + -self.vocabulary % panel
            self.model = _Model(
                config.num_hidden_layers,
                config.hidden_size,
                config.num_attention_heads,
                config.num_key_value_heads,
                head,
                config.intermediate_size,
                self.outputs,
                config.rms_norm_eps,
                plain(body.embed_tokens.weight),
                panels(model.lm_head.weight),
                single(body.norm.weight),
                ctypes.addressof(layers),
            )

    def step(self, cache: Any, model: Any, tokens: Tensor) -> Tensor:
        """Append a token (B,) to every row of a cache.Cache: logits (B, V) float32, which the next step writes over."""
        if cache.layout is None:
            cache.layout = Layout(self, cache, model)
        layout, tokens = cache.layout, tokens.long().contiguous()
        layout.described.used = cache.used
        layout.position.copy_(cache.positions)
        (native.library() or self.library).step(  # which may be observed since
            ctypes.addressof(self.model),
            ctypes.addressof(layout.described),
            tokens.data_ptr(),
            len(tokens),
            layout.logits.data_ptr(),
            layout.space.data_ptr(),
            layout.space.shape[1],
            len(layout.space),
            self.half,
        )
        return layout.logits[:, : self.vocabulary]


class Layout:
    """Where a cache's numbers lie, for as long as its rows and its room stay the same."""

    def __init__(self, packed: Packed, cache: Any, model: Any):
        rows, blocks = len(cache.positions), cache.blocks
        self.position = cache.positions.clone()
        sizes = [end - start for start, end in (block.rows for block in blocks)]
        self.block = torch.repeat_interleave(torch.arange(len(blocks)), torch.tensor(sizes))
        self.prompt = torch.cat([block.prompt for block in blocks])
        self.longest = torch.tensor([block.k[0].shape[2] for block in blocks])
        capacity = cache.k[0].shape[2]
        last = int(self.position.max()) + capacity - cache.used
        cos, sin = transformer.rope(model, torch.arange(last), torch.float32)
        self.cos, self.sin = cos.flatten(1).contiguous(), sin[:, :, 1].flatten(1).contiguous()
        self.k, self.v = _addresses(cache.k), _addresses(cache.v)
        self.block_k = _addresses([block.k[i] for i in range(len(cache.k)) for block in blocks])
        self.block_v = _addresses([block.v[i] for i in range(len(cache.v)) for block in blocks])
        self.logits = torch.empty((rows, packed.outputs))
        room = packed.library.scratch(ctypes.addressof(packed.model), last)
        self.space = torch.empty((torch.get_num_threads(), room))
        arrays = (self.longest, self.block, self.prompt, self.position, self.cos, self.sin)
        self.described = _Cache(
            cache.used,
            capacity,
            len(blocks),
            *(a.ctypes.data for a in (self.k, self.v, self.block_k, self.block_v)),
            *(a.data_ptr() for a in arrays),
        )


def _addresses(tensors: Sequence[Tensor]) -> np.ndarray:
    assert all(t.is_contiguous() for t in tensors)
    return np.array([t.data_ptr() for t in tensors], np.uint64)


def draw(logits: Tensor, temperature: float, u: Tensor) -> tuple[Tensor, Tensor] | None:
    """What `sampling.sample` returns where nothing is cut; None where the library does not take these logits."""
    found = native.library()
    if found is None or logits.device.type != "cpu" or logits.dtype != torch.float32 or u.dtype != torch.float64:
        return None
    logits, u = logits.contiguous(), u.contiguous()
    rows, vocabulary = logits.shape
    tokens, logp = torch.empty(rows, dtype=torch.long), torch.empty(rows)
    threads = torch.get_num_threads() if logits.numel() >= DRAWN_TOGETHER else 1
    space = torch.empty((threads, vocabulary + found.lanes()))
    addresses = [t.data_ptr() for t in (u, tokens, logp, space)]
    found.draw(rows, vocabulary, logits.data_ptr(), temperature, *addresses, space.shape[1], threads)
    return tokens, logp
