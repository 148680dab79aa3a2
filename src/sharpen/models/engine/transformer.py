"""The forward pass of the Llama family on rows of tokens laid end to end, without padding.

`supported(model)` says whether a Hugging Face model is of that family (Llama, Mistral, Qwen2, Qwen3; dense, full attention);
every other model takes its own forward pass. The functions read the model's own parameters, so there is no second copy of
the weights: training updates are seen by the next generated token.

1. `hidden_states` runs every layer. Only attention knows which token belongs to which row, so it is passed in: decoding
   attends to a cache (cache.py), training and prefill to a `Pack` (packing.py).
2. `fuse` lays the weights that read the same input beside each other in memory, so that one product computes what they need.

Dimensions: N tokens, D width, H query heads, G key/value heads, E head width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sharpen.models.engine import train_fused, train_products, train_step

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
ROPE_TYPES = ("default", "linear", "llama3")  # fixed frequencies; the others depend on the length seen so far

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]  # (layer, q (N, H, E), k (N, G, E), v (N, G, E)) -> (N, H, E)


def supported(model: Any) -> bool:
    """True where `hidden_states` computes what the model's own forward computes."""
    config = model.config
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    layer_types = set(getattr(config, "layer_types", None) or ["full_attention"])
    return (
        config.model_type in FAMILIES
        and rope.get("rope_type", "default") in ROPE_TYPES
        and layer_types == {"full_attention"}
        and (getattr(config, "sliding_window", None) is None or not getattr(config, "use_sliding_window", True))
        and config.hidden_act in ("silu", "swish")
        and not getattr(config, "attention_dropout", 0.0)
    )


def hidden_states(
    model: Any, tokens: Tensor, positions: Tensor, attend: Attend, recompute: bool = False, needed: Tensor | None = None
) -> Tensor:
    """Final hidden states (N, D) of tokens (N,) at positions (N,) of their rows.

    recompute  keep only each layer's input for the backward pass and compute the rest again (gradient checkpointing)
    needed     (M,) numbers of the tokens whose states are wanted, which come back as (M, D); of the other tokens the last layer
               makes keys and values alone
    """
    x = train_products.embed(model.model.embed_tokens, tokens)
    cos, sin = rope(model, positions, train_step.angles(x))
    for i, layer in enumerate(model.model.layers):
        step = (_layer, layer, x, cos, sin, attend, i, needed if layer is model.model.layers[-1] else None)
        x = checkpoint(*step, use_reentrant=False) if recompute else step[0](*step[1:])
    return norm(x, model.model.norm)


def _layer(layer: Any, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend, i: int, needed: Tensor | None) -> Tensor:
    attention = layer.self_attn
    shape = (len(x), -1, attention.head_dim)
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    q, k, v = (t.view(shape) for t in linear(projections, norm(x, layer.input_layernorm)))
    if hasattr(attention, "q_norm"):  # Qwen3
        q, k = norm(q, attention.q_norm), norm(k, attention.k_norm)
    attended = attend(i, train_step.rotate(q, cos, sin), train_step.rotate(k, cos, sin), v).flatten(1)
    if needed is not None:
        x, attended = x.index_select(0, needed), attended.index_select(0, needed)
    x = x + train_products.project(attention.o_proj, attended)
    return x + mlp(layer.mlp, norm(x, layer.post_attention_layernorm))


def mlp(layer: Any, x: Tensor) -> Tensor:
    """SwiGLU."""
    wide, closing = (layer.gate_proj, layer.up_proj), layer.down_proj
    if torch.is_grad_enabled() and train_fused.usable(x) and type(closing) is nn.Linear and closing.bias is None:
        fused = block(wide)
        if fused is not None and fused[1] is None:
            return train_fused.mlp(x, *wide, closing, fused[0])
    return train_products.project(closing, train_step.gate(*linear(wide, x)))


def rope(model: Any, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """For positions (N,): cosines (N, 1, 1, E/2), and sines (N, 1, 2, E/2) with the signs that `train_step.rotate` needs."""
    embedding = model.model.rotary_emb
    angles = positions[:, None, None, None].float() * embedding.inv_freq.float()
    scale = getattr(embedding, "attention_scaling", 1.0)
    sin = angles.sin() * scale
    return (angles.cos() * scale).to(dtype), torch.cat((-sin, sin), dim=2).to(dtype)


def norm(x: Tensor, layer: Any) -> Tensor:
    return train_step.norm(x, layer.weight, layer.variance_epsilon)


def linear(layers: Sequence[Any], x: Tensor) -> Sequence[Tensor]:
    """What each layer makes of x (N, D). One product for all of them where `fuse` has laid their weights side by side."""
    learns = torch.is_grad_enabled()
    fused = None if learns and not train_fused.usable(x) else block(layers)
    if fused is None or train_products.usable(x) is not None:
        return [train_products.project(layer, x) for layer in layers]
    if learns:
        return train_fused.together(x, layers, fused)
    return F.linear(x, *fused).split([len(layer.weight) for layer in layers], dim=-1)


def together(layers: Sequence[Any], x: Tensor) -> Tensor:
    """The same side by side, (N, the sum of their widths), without gradient."""
    fused = block(layers)
    return F.linear(x, *fused) if fused else torch.cat([layer(x) for layer in layers], dim=-1)


def block(layers: Sequence[Any]) -> tuple[Tensor, Tensor | None] | None:
    """The weights and biases that `fuse` laid side by side, as one of each; None where they do not lie so (any more)."""
    if not all(type(layer) is nn.Linear for layer in layers):
        return None
    weight, biases = _side_by_side([layer.weight for layer in layers]), [layer.bias for layer in layers]
    bias = None if biases[0] is None else _side_by_side(biases)
    return None if weight is None or (bias is None) != (biases[0] is None) else (weight, bias)


def fuse(model: Any) -> None:
    """Move the weights that `linear` takes together into one block of memory each; they stay the model's parameters."""
    for layer in model.model.layers:
        a, mlp = layer.self_attn, layer.mlp
        for together in ((a.q_proj, a.k_proj, a.v_proj), (mlp.gate_proj, mlp.up_proj)):
            for name in ("weight", "bias"):
                parts: list[Any] = [getattr(part, name, None) for part in together]
                if all(part is not None for part in parts):
                    laid = torch.cat([part.detach() for part in parts])
                    for part, piece in zip(parts, laid.split([len(p) for p in parts]), strict=True):
                        part.data = piece


def _side_by_side(parts: Sequence[Tensor]) -> Tensor | None:
    """The block that `fuse` made of these parameters as one tensor; None where they do not lie so (any more)."""
    first, end = parts[0], parts[0].data_ptr()
    for part in parts:
        if part.data_ptr() != end or part.untyped_storage().data_ptr() != first.untyped_storage().data_ptr():
            return None
        end += part.nbytes
    return first.detach().as_strided((sum(len(p) for p in parts), *first.shape[1:]), first.stride())
