"""The decoding step of decode_step.c: for small models of the Llama family in fp32 on a processor, where a C compiler is.

Where there is none (native.py), or the model is another one, `pack` returns None and decoding takes the path of transformer.py.
`draw` draws the next tokens, whatever the model, in one call instead of twenty.

Products read a packed copy of the weights, made for each batch of generations (11 ms for 3.4 M parameters), so training updates
are seen by the next batch.

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

LARGEST = 128 * 2**20  # bytes of packed weights; in larger models the products are all that counts, and torch's are as good
DRAWN_TOGETHER = 2**15  # logits in a step from which more than one thread draws

LAYER = ("norm", "qkv", "qkv_bias", "q_norm", "k_norm", "out", "mlp_norm", "gate_up", "down")
SIZES = ("layers", "width", "heads", "groups", "head", "inner", "outputs")


class _Layer(ctypes.Structure):
    _fields_ = [(name, POINTER) for name in LAYER]


class _Model(ctypes.Structure):
    _fields_ = [
        *((name, INTEGER) for name in SIZES),
        ("eps", ctypes.c_double),
        *((name, POINTER) for name in ("embedding", "norm", "vocabulary", "layer")),
    ]


class _Cache(ctypes.Structure):
    _fields_ = [
        *((name, INTEGER) for name in ("used", "capacity", "blocks")),
        *((name, POINTER) for name in ("k", "v", "block_k", "block_v", "longest", "block", "prompt", "position", "cos", "sin")),
    ]


def pack(model: Any) -> Packed | None:
    """The model's weights as the compiled step wants them, as they are now; None where it cannot take this model."""
    if model.device.type != "cpu" or model.dtype != torch.float32 or not transformer.supported(model):
        return None
    if 4 * sum(p.numel() for p in model.parameters()) > LARGEST or not _plain(model):
        return None
    config, found = model.config, native.library()
    if found is None:
        return None
    head = model.model.layers[0].self_attn.head_dim
    wide = (config.num_attention_heads + 2 * config.num_key_value_heads) * head
    panels = (config.hidden_size, wide, 2 * config.intermediate_size)
    vectors = (head, config.intermediate_size)
    if any(n % found.panel() for n in panels) or any(n % found.lanes() for n in vectors):
        return None
    return Packed(model, found, head)


def _plain(model: Any) -> bool:
    """Whether every product is an nn.Linear (not an adapter, say), with biases on queries, keys and values at most."""
    for layer in model.model.layers:
        a, mlp = layer.self_attn, layer.mlp
        biased = [a.q_proj, a.k_proj, a.v_proj]
        others = [a.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj]
        if not all(type(one) is nn.Linear for one in (*biased, *others)) or any(one.bias is not None for one in others):
            return False
        if len({one.bias is None for one in biased}) > 1:
            return False
    return type(model.lm_head) is nn.Linear and model.lm_head.bias is None


class Packed:
    """A model's weights for the compiled step.

    It runs in as many threads as torch has; each takes a stretch of the rows through the whole step.
    """

    def __init__(self, model: Any, library: ctypes.CDLL, head: int):
        config, body = model.config, model.model
        self.library = library
        self.kept: list[Any] = []  # what the structures point to
        panel = library.panel()

        def plain(weight: Tensor) -> int:
            self.kept.append(weight.detach().contiguous())
            return int(self.kept[-1].data_ptr())

        def panels(*weights: Tensor) -> int:
            if any(len(w) % panel for w in weights[:-1]):
                weights = (torch.cat(weights),)
            parts = [w.detach().contiguous() for w in weights]
            sizes = [len(w) for w in parts[:-1]] + [len(parts[-1]) + -len(parts[-1]) % panel]
            packed = torch.empty((sum(sizes), parts[0].shape[1]))
            for part, place in zip(parts, packed.split(sizes), strict=True):
                library.pack(*part.shape, part.data_ptr(), place.data_ptr())
            return plain(packed)

        def layer(one: Any) -> dict[str, int]:
            a, mlp = one.self_attn, one.mlp
            bias = a.q_proj.bias
            return dict(
                norm=plain(one.input_layernorm.weight),
                qkv=panels(a.q_proj.weight, a.k_proj.weight, a.v_proj.weight),
                qkv_bias=0 if bias is None else plain(torch.cat((bias, a.k_proj.bias, a.v_proj.bias))),
                q_norm=plain(a.q_norm.weight) if hasattr(a, "q_norm") else 0,
                k_norm=plain(a.k_norm.weight) if hasattr(a, "k_norm") else 0,
                out=panels(a.o_proj.weight),
                mlp_norm=plain(one.post_attention_layernorm.weight),
                gate_up=panels(mlp.gate_proj.weight, mlp.up_proj.weight),
                down=panels(mlp.down_proj.weight),
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
                plain(body.norm.weight),
                panels(model.lm_head.weight),
                ctypes.addressof(layers),
            )

    def step(self, cache: Any, model: Any, tokens: Tensor) -> Tensor:
        """Append a token (B,) to every row of a cache.Cache: logits (B, V) float32, which the next step writes over."""
        if cache.layout is None:
            cache.layout = Layout(self, cache, model)
        layout, tokens = cache.layout, tokens.long().contiguous()
        layout.described.used = cache.used
        layout.position.copy_(cache.positions)
        self.library.step(
            ctypes.addressof(self.model),
            ctypes.addressof(layout.described),
            tokens.data_ptr(),
            len(tokens),
            layout.logits.data_ptr(),
            layout.space.data_ptr(),
            layout.space.shape[1],
            len(layout.space),
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
