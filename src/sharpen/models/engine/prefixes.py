"""Keys and values of prompts that are gone on from: what a tree's next step begins with is run once, not once a step.

A prompt that begins with a remembered one has its remainder run alone, attending to what is remembered. Only conversations that
go on within a turn are remembered, while a batch of generators is driven (`Prefixes` is emptied with it): a result must not
depend on what was driven before, not by a bit.

Dimensions: S prompts, P the longest, T the longest remainder, G key/value heads, H query heads, E head width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sharpen.models.engine import transformer
from sharpen.models.engine.packing import pack

LARGEST = 512 * 2**20  # bytes that are remembered


@dataclass(frozen=True)
class Remembered:
    """(G, P, E) keys and values of every layer."""

    k: list[Tensor]
    v: list[Tensor]

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in (*self.k, *self.v))


class Prefixes:
    """Prompts with keys and values, the least recently used forgotten first. `tokens` counts those that were not run again."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest, self.held, self.tokens = largest, 0, 0
        self.entries: OrderedDict[bytes, Remembered] = OrderedDict()
        self.lengths: set[int] = set()

    def longest(self, prompt: np.ndarray) -> tuple[int, Remembered | None]:
        """The longest remembered beginning of a prompt, shorter than the prompt itself, and how many tokens it has."""
        for n in sorted((n for n in self.lengths if n < len(prompt)), reverse=True):
            key = prompt[:n].tobytes()
            if key in self.entries:
                self.entries.move_to_end(key)
                return n, self.entries[key]
        return 0, None

    def add(self, prompts: Sequence[np.ndarray], k: Sequence[Tensor], v: Sequence[Tensor]) -> None:
        """Remember prompts whose keys and values are rows of (S, G, P, E)."""
        for i, prompt in enumerate(prompts):
            key, n = prompt.tobytes(), len(prompt)
            if key in self.entries:
                continue
            made = Remembered([t[i, :, :n].clone() for t in k], [t[i, :, :n].clone() for t in v])
            self.entries[key], self.held = made, self.held + made.nbytes
            self.lengths.add(n)
        while self.held > self.largest and self.entries:
            self.held -= self.entries.popitem(last=False)[1].nbytes


def behind(
    model: Any, prompts: Sequence[np.ndarray], found: Sequence[tuple[int, Remembered | None]]
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Keys and values (S, G, P, E) of every layer, zeros where padded, and hidden states (S, D) after each prompt."""
    device, starts = model.device, [n for n, _ in found]
    rest = [prompt[n:] for prompt, n in zip(prompts, starts, strict=True)]
    packed = pack(rest, [0] * len(rest), range(len(rest)), device)
    positions = np.concatenate([np.arange(n, n + len(r)) for n, r in zip(starts, rest, strict=True)])
    width, longest = packed.own.index.shape[1], max(map(len, prompts))
    first = torch.tensor(starts, device=device)
    seen = torch.arange(longest, device=device) <= (first[:, None] + torch.arange(width, device=device))[..., None]
    keys: list[Tensor] = []
    values: list[Tensor] = []

    def whole(layer: int, new: Tensor, name: str) -> Tensor:
        own = packed.own.padded(new)
        out = own.new_zeros((len(rest), own.shape[1], longest, own.shape[3]))
        for i, (n, entry) in enumerate(found):
            if entry is not None:
                out[i, :, :n] = getattr(entry, name)[layer]
            out[i, :, n : n + len(rest[i])] = own[i, :, : len(rest[i])]
        return out

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys.append(whole(layer, k, "k"))
        values.append(whole(layer, v, "v"))
        grouped = q.shape[1] != k.shape[1]
        asked = packed.own.padded(q)
        mixed = F.scaled_dot_product_attention(asked, keys[-1], values[-1], attn_mask=seen[:, None], enable_gqa=grouped)
        return packed.own.unpadded(mixed)

    ends = torch.tensor([len(r) for r in rest], device=device).cumsum(0) - 1
    hidden = transformer.hidden_states(model, packed.tokens, torch.from_numpy(positions).to(device), attend, needed=ends)
    return keys, values, hidden
