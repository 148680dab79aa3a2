"""Keys and values while a batch of rows is being generated.

A prompt's keys and values are held once for all rows that continue it, in blocks of prompts of like length; what a row
generates is held for itself. All rows are at the same generated token, so nothing of that part is padded, and a short
prompt costs nothing for standing beside a long one.

Dimensions: B rows, S prompts of a block, P its longest prompt, H query heads, G key/value heads, E head width, T generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sharpen.models.engine import decode_step, transformer
from sharpen.models.engine.packing import pack
from sharpen.models.engine.prefixes import Found, behind, stacked

SPREAD = 1.25  # longest prompt of a block over its shortest, apart from NARROW tokens
NARROW = 16
PREFILL_TOKENS = 8192  # prompt tokens in one forward pass
GROWTH = 32  # generated tokens that a cache has room for at first; it doubles from there, so copying stays linear


@dataclass(frozen=True)
class Block:
    """Prompts of like length and the rows that continue them.

    k, v    one (S, G, P, E) tensor for each layer
    hidden  (S, 1, 1, P) additive mask of the padding; None where there is none
    rows    (start, end) in the batch
    prompt  (rows,) which prompt each row continues, ascending
    slot    (rows,) which of its prompt's rows it is
    slots   rows of the prompt that has most
    """

    k: list[Tensor]
    v: list[Tensor]
    hidden: Tensor | None
    rows: tuple[int, int]
    prompt: Tensor
    slot: Tensor
    slots: int

    def scores(self, layer: int, q: Tensor) -> Tensor:
        """(rows, G, H/G, P) from scaled queries (rows, G, H/G, E)."""
        k = self.k[layer]
        asked = self.by_prompt(q)  # (S, slots, G, H/G, E)
        s, n, g, shared, e = asked.shape
        asked = asked.transpose(1, 2).reshape(s, g, n * shared, e)
        found = asked @ k.transpose(-1, -2)
        if self.hidden is not None:
            found = found + self.hidden
        return self.by_row(found.view(s, g, n, shared, -1).transpose(1, 2))

    def mix(self, layer: int, weights: Tensor) -> Tensor:
        """(rows, G, H/G, E) from attention weights (rows, G, H/G, P)."""
        by = self.by_prompt(weights)
        s, n, g, shared, p = by.shape
        found = by.transpose(1, 2).reshape(s, g, n * shared, p) @ self.v[layer]
        return self.by_row(found.view(s, g, n, shared, -1).transpose(1, 2))

    def by_prompt(self, x: Tensor) -> Tensor:
        """(rows, …) -> (S, slots, …), zeros where a prompt has fewer rows."""
        s = len(self.k[0])
        if len(x) == s * self.slots:
            return x.unflatten(0, (s, self.slots))
        out = x.new_zeros((s, self.slots, *x.shape[1:]))
        out[self.prompt, self.slot] = x
        return out

    def by_row(self, x: Tensor) -> Tensor:
        return x.flatten(0, 1) if len(self.prompt) == x.shape[0] * x.shape[1] else x[self.prompt, self.slot]

    def keep(self, rows: Tensor, start: int) -> Block | None:
        """The block with only the given of its rows, which then begin at `start`; None where none is left."""
        if not len(rows):
            return None
        left, prompt = self.prompt[rows].unique_consecutive(return_inverse=True)
        k, v, hidden = self.k, self.v, self.hidden
        if len(left) < len(k[0]):
            k, v = [t[left] for t in k], [t[left] for t in v]
            hidden = None if hidden is None else hidden[left]
        return Block(k, v, hidden, (start, start + len(rows)), prompt, *_slots(prompt))


def _slots(prompt: Tensor) -> tuple[Tensor, int]:
    counts = torch.bincount(prompt)
    first = counts.cumsum(0) - counts
    return torch.arange(len(prompt), device=prompt.device) - first[prompt], int(counts.max())


class Cache:
    """What `transformer.hidden_states` attends to while decoding: B rows, each one token further with every call.

    k, v       one (B, G, capacity, E) tensor for each layer; the first `used` columns are filled
    positions  (B,) of the next token in its row
    logits     (B, V) float32 after the prompts
    hidden     (B, D) the last hidden states, where they were asked for; then no compiled step is taken
    static     every step has the same shapes and reads its place from tensors, so that a GPU can replay it as a graph:
               attention runs over the whole capacity, and `unseen` hides what is not filled yet
    """

    def __init__(
        self,
        model: Any,
        prompts: Sequence[np.ndarray],
        rows: Sequence[int],
        static: bool = False,
        packed: decode_step.Packed | None = None,
        hidden: bool = False,
        found: Sequence[Found] = (),
    ):
        """Run each of `prompts`, ascending in length, once. `rows` names the prompt of each row, ascending.

        packed  the model's weights for the compiled step, which then takes the steps after the prompts
        hidden  whether hidden states are kept; then `packed` is None
        found   of each prompt what is remembered of it; (): nothing of any
        """
        config, device = model.config, model.device
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.static, self.packed, self.used, self.blocks = static, packed, 0, []
        self.graph: Graph | None = None
        self.layout: decode_step.Layout | None = None
        logits, states, start = [], [], 0
        of_row = torch.tensor(rows, device=device)
        for first, last in _like_lengths([len(p) for p in prompts]):
            k, v, mask, last_states = _prefill(model, prompts[first:last], found[first:last])
            prompt = of_row[(of_row >= first) & (of_row < last)] - first
            self.blocks.append(Block(k, v, mask, (start, start + len(prompt)), prompt, *_slots(prompt)))
            start += len(prompt)
            logits.append(model.lm_head(last_states)[prompt])
            states.append(last_states[prompt])
        self.logits = torch.cat(logits).float()
        self.hidden = torch.cat(states) if hidden else None
        self.positions = torch.tensor([len(prompts[r]) for r in rows], device=device)
        shape = (len(rows), config.num_key_value_heads, GROWTH, width)
        self.k = [torch.empty(shape, dtype=model.dtype, device=device) for _ in range(config.num_hidden_layers)]
        self.v = [torch.empty_like(t) for t in self.k]
        self.reset()

    def reset(self) -> None:
        """What a static step reads its place from, and nothing that was made for steps of another shape."""
        self.graph = self.layout = None
        if self.static:
            capacity, device = self.k[0].shape[2], self.positions.device
            self.column = torch.tensor([self.used], device=device)
            self.unseen = torch.zeros(capacity, dtype=self.k[0].dtype, device=device)
            self.unseen[self.used :] = float("-inf")
            for t in (*self.k, *self.v):
                t[:, :, self.used :] = 0  # hidden, but 0 * NaN would be NaN

    def extend(self, model: Any, tokens: Tensor) -> Tensor:
        """Append one token (B,) to every row and return float32 logits (B, V) after it."""
        if self.used == self.k[0].shape[2]:
            self.k, self.v = ([_grown(t) for t in layers] for layers in (self.k, self.v))
            self.reset()
        if self.static:
            self.column.fill_(self.used)
            self.unseen[self.used] = 0
        if self.static and tokens.is_cuda:
            self.graph = self.graph or Graph(self, model, tokens)
            logits = self.graph(tokens)
        else:
            logits = self.step(model, tokens)
        self.used += 1
        self.positions += 1
        return logits

    def step(self, model: Any, tokens: Tensor) -> Tensor:
        if self.packed:
            return self.packed.step(self, model, tokens)
        states = transformer.hidden_states(model, tokens, self.positions, self.attend)
        if self.hidden is not None:
            self.hidden = states
        return model.lm_head(states).float()

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of one new token a row: (B, H, E) from q (B, H, E) and k, v (B, G, E)."""
        end = self.k[layer].shape[2] if self.static else self.used + 1
        for filled, new in ((self.k[layer], k), (self.v[layer], v)):
            if self.static:
                filled.index_copy_(2, self.column, new[:, :, None])
            else:
                filled[:, :, self.used] = new
        q = q.view(len(q), k.shape[1], -1, q.shape[2]) * q.shape[2] ** -0.5
        own = q @ self.k[layer][:, :, :end].transpose(-1, -2)  # (B, G, H/G, T)
        if self.static:
            own = own + self.unseen
        out = []
        for block in self.blocks:
            rows = slice(*block.rows)
            weights = torch.cat((block.scores(layer, q[rows]), own[rows]), dim=-1).softmax(dim=-1)
            before = weights.shape[-1] - end
            new = weights[..., before:] @ self.v[layer][rows, :, :end]
            out.append(new + block.mix(layer, weights[..., :before]))
        return torch.cat(out).flatten(1, 2) if len(out) > 1 else out[0].flatten(1, 2)

    def pasts(self, rows: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of each of these ascending rows, copied: of its prompt (L, 2, G, P, E), and (L, 2, G, T, E) what it
        has written but for the last token."""
        lengths, out = (self.positions[list(rows)] - self.used).tolist(), []
        for block in self.blocks:
            inside = [(row, n) for row, n in zip(rows, lengths, strict=True) if block.rows[0] <= row < block.rows[1]]
            if not inside:
                continue
            own = torch.tensor([row for row, _ in inside], device=self.positions.device)
            before = stacked(block.k, block.v, block.prompt[own - block.rows[0]])
            after = stacked([t[:, :, : self.used] for t in self.k], [t[:, :, : self.used] for t in self.v], own)
            out += [(before[:, :, i, :, :n], after[:, :, i]) for i, (_, n) in enumerate(inside)]
        return out

    def keep(self, rows: Tensor) -> None:
        """Drop all but the given rows, which ascend, so that none is overwritten unread."""
        self.positions = self.positions[rows]
        for layers in (self.k, self.v):
            for i, t in enumerate(layers):
                t[: len(rows), :, : self.used] = t[rows, :, : self.used]
                layers[i] = t[: len(rows)]
        kept, start = [], 0
        for block in self.blocks:
            inside = rows[(rows >= block.rows[0]) & (rows < block.rows[1])] - block.rows[0]
            if left := block.keep(inside, start):
                kept.append(left)
                start = left.rows[1]
        self.blocks = kept
        self.reset()


class Graph:
    """One static decoding step recorded on a GPU, so that its hundreds of small kernels start as one."""

    def __init__(self, cache: Cache, model: Any, tokens: Tensor):
        self.tokens = tokens.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # a recording must not be the first run: libraries set themselves up in it
            cache.step(model, self.tokens)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.logits = cache.step(model, self.tokens)

    def __call__(self, tokens: Tensor) -> Tensor:
        self.tokens.copy_(tokens)
        self.graph.replay()
        return self.logits.clone()


def _like_lengths(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending lengths cut into stretches (start, end) that waste little on padding and fit one forward pass."""
    cuts = [0]
    for i, n in enumerate(lengths):
        shortest, held = lengths[cuts[-1]], i - cuts[-1]
        if held and (n > shortest * SPREAD + NARROW or n * (held + 1) > PREFILL_TOKENS):
            cuts.append(i)
    return list(zip(cuts, [*cuts[1:], len(lengths)], strict=True))


def _prefill(
    model: Any, prompts: Sequence[np.ndarray], found: Sequence[Found] = ()
) -> tuple[list[Tensor], list[Tensor], Tensor | None, Tensor]:
    """Keys and values (S, G, P, E) of every layer, the mask of the padding, and hidden states (S, D) after each prompt."""
    keys, values, hidden = behind(model, prompts, found) if any(n for n, _ in found) else _run(model, prompts)
    lengths = torch.tensor([len(p) for p in prompts], device=model.device)
    padding = torch.arange(keys[0].shape[2], device=model.device) >= lengths[:, None]
    mask = None
    if padding.any():
        mask = torch.zeros(padding.shape, dtype=hidden.dtype, device=model.device).masked_fill_(padding, float("-inf"))
        mask = mask[:, None, None]
    return keys, values, mask, hidden


def _run(model: Any, prompts: Sequence[np.ndarray]) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Keys and values (S, G, P, E) of every layer, and hidden states (S, D) after each prompt."""
    packed = pack(prompts, [0] * len(prompts), range(len(prompts)), model.device)
    keys: list[Tensor] = []
    values: list[Tensor] = []

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys.append(packed.own.padded(k).contiguous())
        values.append(packed.own.padded(v).contiguous())
        return packed.attend(layer, q, k, v)

    lengths = torch.tensor([len(p) for p in prompts], device=model.device)
    hidden = transformer.hidden_states(model, packed.tokens, packed.positions, attend, needed=lengths.cumsum(0) - 1)
    return keys, values, hidden


def _grown(t: Tensor) -> Tensor:
    bigger = t.new_empty((*t.shape[:2], 2 * t.shape[2], t.shape[3]))
    bigger[:, :, : t.shape[2]] = t
    return bigger
