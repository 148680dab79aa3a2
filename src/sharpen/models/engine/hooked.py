"""Rows that are drawn with a hook (`core.Hook`): who reads along with them, and what the hook makes of each token's logits.

The batch itself is decoded as any other, in the compiled step too. Who reads along has a cache of its own over the same rows,
sorted for itself by prompt, and is given every token that is drawn.

Dimensions: B rows, V vocabulary, T tokens written.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sharpen.core import Step, UserError
from sharpen.models.engine import decode_step, generic, transformer
from sharpen.models.engine.cache import Cache
from sharpen.models.engine.prefixes import Found


@dataclass(frozen=True)
class Hooked:
    """A request's hook. `beside` are (model, prompt (P,)) of those who read along, `spell` makes token ids of a text."""

    change: Callable[[Step], Tensor]
    beside: tuple[tuple[Any, np.ndarray], ...] = ()
    hidden: bool = False
    spell: Callable[[str], Any] | None = None

    @property
    def kind(self) -> Hashable:
        """Rows of one kind are decoded together."""
        apart = tuple(alone(model, len(prompt)) for model, prompt in self.beside)
        return (id(self.change), self.hidden, tuple(id(model) for model, _ in self.beside), apart)


def alone(model: Any, length: int) -> int:
    """What two prompts must have in common to be read by this model in one batch: nothing, or their length."""
    return 0 if transformer.supported(model) or not generic.memory(model).row_bytes else length


def start(
    model: Any,
    prompts: Sequence[np.ndarray],
    of_row: Sequence[int],
    pad_id: int,
    packed: decode_step.Packed | None,
    hidden: bool = False,
    found: Sequence[Found] = (),
) -> Any:
    """A cache of distinct prompts, ascending in length, and the rows that continue them: of whatever kind the model wants.
    `found` as in `cache.Cache`; models that take their own forward pass run every prompt whole."""
    if transformer.supported(model):
        return Cache(model, prompts, of_row, model.device.type == "cuda", None if hidden else packed, hidden, found)
    return generic.Cache(model, prompts, of_row, pad_id, hidden)


class Reader:
    """Who reads along with B rows. `order` are the numbers of its cache's rows in the batch, `place` the other way round."""

    def __init__(self, model: Any, prompts: Sequence[np.ndarray], pad_id: int, packed: decode_step.Packed | None):
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i].tobytes(), i))
        distinct: dict[bytes, int] = {}
        of_row = [distinct.setdefault(prompts[i].tobytes(), len(distinct)) for i in order]
        self.model = model
        self.cache = start(model, [np.frombuffer(p, dtype=np.int32) for p in distinct], of_row, pad_id, packed)
        self.order = torch.tensor(order, device=model.device)
        self.place = self.order.argsort()
        self.logits: Tensor = self.cache.logits[self.place]

    def extend(self, token: Tensor) -> None:
        """Read the token (B,) of every row."""
        self.logits = self.cache.extend(self.model, token[self.order])[self.place]

    def keep(self, rows: Tensor) -> None:
        """Drop all but the given rows of the batch, which ascend."""
        number = torch.full_like(self.place, -1)
        number[rows] = torch.arange(len(rows), device=rows.device)
        left = number[self.order]
        self.cache.keep((left >= 0).nonzero().squeeze(1))
        self.order = left[left >= 0]
        self.place = self.order.argsort()


class Along:
    """The hook of a batch, with all who read along."""

    def __init__(self, model: Any, hooks: Sequence[Hooked], pad_id: int, packed: decode_step.Packed | None):
        self.change, self.hidden, self.spell = hooks[0].change, hooks[0].hidden, hooks[0].spell
        self.head = head(model) if self.hidden else None
        self.notes: dict[str, Tensor] = {}
        self.readers = []
        for j, (other, _) in enumerate(hooks[0].beside):
            weights = packed if other is model else decode_step.pack(other)
            self.readers.append(Reader(other, [hook.beside[j][1] for hook in hooks], pad_id, weights))

    def __call__(self, logits: Tensor, tokens: Tensor, state: Any) -> Tensor:
        """(B, V) what to draw from. Raises UserError where the hook returns something else."""
        beside = tuple(reader.logits for reader in self.readers)
        hidden = state.hidden if self.hidden else None
        found = self.change(Step(logits, beside, tokens.long(), hidden, self.head, self.notes, self.spell))
        if not isinstance(found, Tensor) or found.shape != logits.shape:
            what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"{found!r:.100}"
            raise UserError(f"a hook returns logits of shape {tuple(logits.shape)}, and this one returned {what}.")
        return found.float()

    def extend(self, token: Tensor) -> None:
        for reader in self.readers:
            reader.extend(token)

    def keep(self, rows: Tensor) -> None:
        for reader in self.readers:
            reader.keep(rows)
        for name, note in self.notes.items():
            self.notes[name] = note[rows]


def head(model: Any) -> Callable[[Tensor], Tensor]:
    """The model's way from hidden states (N, D) to logits (N, V) float32. UserError where it cannot be taken apart."""
    if transformer.supported(model):
        return lambda states: model.lm_head(states).float()
    parts = generic.parts(model)
    if parts is None:
        raise UserError("a hook asks for hidden states, and this architecture's logits are not made of its trunk's alone.")
    return lambda states: parts.logits(model, states).float()
