"""Keys and values of what is gone on from: a tree's next step, and a conversation's next turn, run only what is new in them.

A prompt that begins with a remembered one has its remainder run alone, attending to what is remembered. Remembered are the
prompts of turns that go on within themselves, and whole turns, answer included, behind which another one is asked for at once.
That lasts while a batch of generators is driven (`Prefixes` is emptied with it): a result must not depend on what was driven
before, not by a bit.

Dimensions: L layers, S prompts, P the longest, G key/value heads, H query heads, E head width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sharpen.models.engine import transformer
from sharpen.models.engine.packing import pack

LARGEST = 512 * 2**20  # bytes that are remembered
Parts = tuple[Tensor, ...]  # keys and values (L, 2, G, n, E) of tokens that follow one another
Found = tuple[int, Parts]  # so many tokens of a prompt, and what is remembered of them; (0, ()): nothing


class Prefixes:
    """Tokens with their keys and values, the least recently used forgotten first. `tokens` counts those that were not run
    again."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest, self.held, self.tokens = largest, 0, 0
        self.entries: OrderedDict[bytes, Parts] = OrderedDict()
        self.lengths: set[int] = set()

    def longest(self, prompt: np.ndarray, begun: int = 0) -> Found:
        """The longest remembered beginning of a prompt, shorter than the prompt itself, and how many tokens it has.

        begun  tokens of the conversation that it goes on from, where nothing else is to be looked for. The last of them was
               drawn and never run, so it is mostly not among what is remembered
        """
        lengths = (begun, begun - 1) if begun else sorted(self.lengths, reverse=True)
        for n in (n for n in lengths if n < len(prompt)):
            key = prompt[:n].tobytes()
            if key in self.entries:
                self.entries.move_to_end(key)
                return n, self.entries[key]
        return 0, ()

    def add(self, prompts: Sequence[np.ndarray], k: Sequence[Tensor], v: Sequence[Tensor]) -> None:
        """Remember prompts whose keys and values are rows of (S, G, P, E)."""
        for i, prompt in enumerate(prompts):
            if prompt.tobytes() not in self.entries:
                self.keep(prompt, (stacked(k, v, torch.tensor([i]))[:, :, 0, :, : len(prompt)],))

    def keep(self, tokens: np.ndarray, made: Parts) -> None:
        """Remember the keys and values of these tokens, unless they are known."""
        key = tokens.tobytes()
        if key in self.entries:
            return
        self.entries[key], self.held = made, self.held + size(made)
        self.lengths.add(len(tokens))
        while self.held > self.largest and self.entries:
            self.held -= size(self.entries.popitem(last=False)[1])


def size(made: Parts) -> int:
    """Bytes."""
    return sum(part.nbytes for part in made)


def stacked(k: Sequence[Tensor], v: Sequence[Tensor], rows: Tensor) -> Tensor:
    """(L, 2, n, G, P, E) of n rows of keys and values (S, G, P, E), copied."""
    out = k[0].new_empty((len(k), 2, len(rows), *k[0].shape[1:]))
    for layer, pair in enumerate(zip(k, v, strict=True)):
        for side, given in enumerate(pair):
            torch.index_select(given, 0, rows.to(given.device), out=out[layer, side])
    return out


def behind(model: Any, prompts: Sequence[np.ndarray], found: Sequence[Found]) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Keys and values (S, G, P, E) of every layer, zeros where padded, and hidden states (S, D) after each prompt."""
    device, starts = model.device, [n for n, _ in found]
    rest = [prompt[n:] for prompt, n in zip(prompts, starts, strict=True)]
    packed = pack(rest, [0] * len(rest), range(len(rest)), device)
    positions = np.concatenate([np.arange(n, n + len(r)) for n, r in zip(starts, rest, strict=True)])
    width, longest = packed.own.index.shape[1], max(map(len, prompts))
    first = torch.tensor(starts, device=device)
    seen = torch.arange(longest, device=device) <= (first[:, None] + torch.arange(width, device=device))[..., None]
    row = torch.tensor([i for i, r in enumerate(rest) for _ in r], device=device)
    column = torch.from_numpy(positions).to(device)
    one = next(parts[0] for _, parts in found if parts)
    whole = one.new_empty((*one.shape[:2], len(rest), one.shape[2], longest, one.shape[4]))
    for i, (_, parts) in enumerate(found):
        at = 0
        for part in parts:
            whole[:, :, i, :, at : at + part.shape[3]] = part
            at += part.shape[3]
        whole[:, :, i, :, len(prompts[i]) :] = 0  # hidden, but 0 * NaN would be NaN

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        for side, new in zip(whole[layer], (k, v), strict=True):
            side.transpose(1, 2)[row, column] = new
        grouped = q.shape[1] != k.shape[1]
        asked = packed.own.padded(q)
        mixed = F.scaled_dot_product_attention(
            asked, whole[layer, 0], whole[layer, 1], attn_mask=seen[:, None], enable_gqa=grouped
        )
        return packed.own.unpadded(mixed)

    ends = torch.tensor([len(r) for r in rest], device=device).cumsum(0) - 1
    hidden = transformer.hidden_states(model, packed.tokens, column, attend, needed=ends)
    return list(whole[:, 0]), list(whole[:, 1]), hidden
