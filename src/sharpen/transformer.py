"""The forward pass of the Llama family, written for small batches of short rows on a CPU.

`supported(model)` says whether a Hugging Face model is of that family (Llama, Mistral, Qwen2, Qwen3; dense, full attention);
every other model takes its own forward pass. The functions read the model's own parameters, so there is no second copy of
the weights: training updates are seen by the next generated token.

Dimensions: B rows, T positions, D width, H query heads, G key/value heads, E head width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
ROPE_TYPES = ("default", "linear", "llama3")  # fixed frequencies; the others depend on the length seen so far


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


def rope(model: Any, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (B, 1, T, E), for integer positions (B, T)."""
    embedding = model.model.rotary_emb
    angles = positions[:, None, :, None].float() * embedding.inv_freq.float()
    angles = torch.cat((angles, angles), dim=-1)
    scale = getattr(embedding, "attention_scaling", 1.0)
    return (angles.cos() * scale).to(dtype), (angles.sin() * scale).to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of (B, H, T, E), halves convention."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def norm(x: Tensor, layer: Any) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), layer.weight, layer.variance_epsilon)


def queries_keys_values(layer: Any, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T, D) -> q (B, H, T, E), k and v (B, G, T, E), positions applied."""
    attention, (rows, length, _) = layer.self_attn, x.shape
    width = attention.head_dim
    q = attention.q_proj(x).view(rows, length, -1, width)
    k = attention.k_proj(x).view(rows, length, -1, width)
    v = attention.v_proj(x).view(rows, length, -1, width).transpose(1, 2)
    if hasattr(attention, "q_norm"):  # Qwen3
        q, k = norm(q, attention.q_norm), norm(k, attention.k_norm)
    return rotate(q.transpose(1, 2), cos, sin), rotate(k.transpose(1, 2), cos, sin), v


def feed_forward(layer: Any, x: Tensor) -> Tensor:
    mlp = layer.mlp
    return mlp.down_proj(F.silu(mlp.gate_proj(x)) * mlp.up_proj(x))


def hidden_states(model: Any, tokens: Tensor) -> Tensor:
    """(B, T) token ids padded on the right -> (B, T, D) final hidden states.

    Attention is causal, so padding on the right cannot reach a real token and needs no mask.
    """
    x = model.model.embed_tokens(tokens)
    positions = torch.arange(tokens.shape[1], device=tokens.device)[None]
    cos, sin = rope(model, positions, x.dtype)
    for layer in model.model.layers:
        q, k, v = queries_keys_values(layer, norm(x, layer.input_layernorm), cos, sin)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
        x = x + layer.self_attn.o_proj(mixed.transpose(1, 2).flatten(2))
        x = x + feed_forward(layer, norm(x, layer.post_attention_layernorm))
    return norm(x, model.model.norm)


class Cache:
    """Keys and values of a batch of rows padded on the left, preallocated for the whole generation.

    k, v    one (B, G, capacity, E) tensor for each layer; columns [0, used) are filled
    pad     (B,) how many of the leading columns are padding
    """

    def __init__(self, model: Any, rows: int, capacity: int, dtype: torch.dtype):
        config, device = model.config, model.device
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (rows, config.num_key_value_heads, capacity, width)
        self.k = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.num_hidden_layers)]
        self.v = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.num_hidden_layers)]
        self.pad = torch.zeros(rows, dtype=torch.long, device=device)
        self.used = 0

    def expand(self, rows: Tensor, capacity: int) -> Cache:
        """A new cache of the given rows, repeats allowed, with room for `capacity` columns."""
        new = object.__new__(Cache)
        new.used, new.pad = self.used, self.pad[rows]
        new.k, new.v = ([self._expanded(old, rows, capacity) for old in layers] for layers in (self.k, self.v))
        return new

    def _expanded(self, old: Tensor, rows: Tensor, capacity: int) -> Tensor:
        grown = old.new_empty((len(rows), old.shape[1], capacity, old.shape[3]))
        grown[:, :, : self.used] = old[rows, :, : self.used]
        return grown

    def keep(self, rows: Tensor) -> Cache:
        """This cache with only the given rows, moved to the front in place: `rows` ascends, so none is overwritten unread."""
        self.pad = self.pad[rows]
        for layers in (self.k, self.v):
            for i, t in enumerate(layers):
                t[: len(rows), :, : self.used] = t[rows, :, : self.used]
                layers[i] = t[: len(rows)]
        return self

    def grow(self, capacity: int) -> Cache:
        return self.expand(torch.arange(len(self.pad), device=self.pad.device), capacity)

    @property
    def full(self) -> bool:
        return self.used == self.k[0].shape[2]


def extend(model: Any, tokens: Tensor, cache: Cache) -> Tensor:
    """Append (B, T) tokens to the cache and return the logits (B, V) after the last of them."""
    start, length = cache.used, tokens.shape[1]
    end = start + length
    columns = torch.arange(start, end, device=tokens.device)
    x = model.model.embed_tokens(tokens)
    cos, sin = rope(model, (columns[None] - cache.pad[:, None]).clamp(min=0), x.dtype)
    seen = torch.arange(end, device=tokens.device)
    visible = (seen[None, None, :] <= columns[None, :, None]) & (seen[None, None, :] >= cache.pad[:, None, None])
    # A padded query sees nothing, and softmax over nothing is NaN: let it see itself; nobody reads the result.
    visible |= seen[None, None, :] == columns[None, :, None]
    bias = torch.zeros(visible.shape, dtype=x.dtype, device=x.device).masked_fill_(~visible, float("-inf"))[:, None]
    for i, layer in enumerate(model.model.layers):
        q, k, v = queries_keys_values(layer, norm(x, layer.input_layernorm), cos, sin)
        cache.k[i][:, :, start:end], cache.v[i][:, :, start:end] = k, v
        mixed = attend(q, cache.k[i][:, :, :end], cache.v[i][:, :, :end], bias)
        x = x + layer.self_attn.o_proj(mixed.transpose(1, 2).flatten(2))
        x = x + feed_forward(layer, norm(x, layer.post_attention_layernorm))
    cache.used = end
    return model.lm_head(norm(x[:, -1], model.model.norm))


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention of q (B, H, T, E) with an additive mask (B, 1, T, columns), heads shared where k and v (B, G, …) have fewer."""
    if q.shape[2] > 1:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=q.shape[1] != k.shape[1])
    # One query a row: two plain products take 0.6 of the time of the fused kernel (2 cores, 256 rows), and the query heads
    # that share a key head become its rows.
    shared = q.view(q.shape[0], k.shape[1], -1, q.shape[3])
    scores = (shared * q.shape[3] ** -0.5) @ k.transpose(-1, -2) + bias
    return (scores.softmax(dim=-1) @ v).view(q.shape)
