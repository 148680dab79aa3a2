"""Generation and training passes by a model's own forward: for every causal LM that transformer.py does not know.

1. `Cache` decodes with the cache that the model makes for itself, whatever that is: keys and values, or the states of Mamba,
   linear attention and RWKV, or both.
2. `Parts` takes a causal LM apart into its trunk, which makes hidden states, and its head, which makes logits of them and
   then does what this architecture does to logits (caps, scales). So logits are made only where somebody wants them.
3. `recomputed` is gradient checkpointing of the layers.

Dimensions: B rows, L tokens, D width, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache
from transformers.modeling_layers import GradientCheckpointingLayer

STATES = ("past_key_values", "cache_params", "state")  # what architectures call that which a next call goes on from


class Cache:
    """The same interface as `cache.Cache`. Prompts are padded on the left, where they are not of one length."""

    def __init__(self, model: Any, prompts: Sequence[np.ndarray], rows: Sequence[int], pad_id: int, hidden: bool = False):
        split = parts(model) if hidden else None
        self.trunk: Any = split.trunk if split else None
        self.hidden: Any = None
        longest = max(len(p) for p in prompts)
        tokens = np.full((len(prompts), longest), pad_id, dtype=np.int64)
        for i, p in enumerate(prompts):
            tokens[i, longest - len(p) :] = p
        self.padding = torch.tensor([longest - len(p) for p in prompts], device=model.device)
        self.padded = any(len(p) < longest for p in prompts)
        self.state = fresh(model)
        self.used = 0
        logits = self._forward(model, torch.from_numpy(tokens).to(model.device))
        of_row = torch.tensor(rows, device=model.device)
        if list(rows) != list(range(len(prompts))):
            self.keep(of_row)
        self.logits = logits[of_row]
        self.hidden = None if self.hidden is None else self.hidden[of_row]

    def _forward(self, model: Any, tokens: Tensor) -> Tensor:
        with self.noted():
            return self._run(model, tokens)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Inside, the trunk's last hidden states (B, D) are kept, where they were asked for."""
        if self.trunk is None:
            yield
            return

        def note(module: Any, arguments: Any, out: Any) -> None:
            self.hidden = out.last_hidden_state[:, -1]

        handle = self.trunk.register_forward_hook(note)
        try:
            yield
        finally:
            handle.remove()

    def _run(self, model: Any, tokens: Tensor) -> Tensor:
        end = self.used + tokens.shape[1]
        columns = torch.arange(end, device=tokens.device)
        out = call(
            model,
            input_ids=tokens,
            # Where nothing is padded there is no mask: Mamba takes one for that of its newest tokens alone.
            attention_mask=(columns[None] >= self.padding[:, None]).long() if self.padded else None,
            position_ids=(columns[None, self.used :] - self.padding[:, None]).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
            **self.state,
        )
        self.state |= states(out)
        self.used = end
        return out.logits[:, -1].float()

    def extend(self, model: Any, tokens: Tensor) -> Tensor:
        return self._forward(model, tokens[:, None])

    def keep(self, rows: Tensor) -> None:
        self.state = {name: selected(state, rows) for name, state in self.state.items()}
        self.padding = self.padding[rows]


def call(model: Any, **inputs: Any) -> Any:
    """The model's forward pass on those of these inputs that it takes."""
    known = inspect.signature(model.forward).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        inputs = {name: value for name, value in inputs.items() if name in known}
    return model(**inputs, return_dict=True)


def selected(state: Any, rows: Tensor) -> Any:
    """What a model goes on from, of the given rows only. Raises ValueError for a kind of state that nobody can cut up."""
    if isinstance(state, Tensor):
        return state.index_select(0, rows)
    if isinstance(state, list | tuple):
        return type(state)(selected(part, rows) for part in state)
    if isinstance(state, dict):
        return {name: selected(part, rows) for name, part in state.items()}
    # `DynamicCache` chooses rows of all its kinds of layers in this way alone; an architecture's own has the other written out.
    choose = "reorder_cache" if type(state) is DynamicCache else "batch_select_indices"
    if not hasattr(state, choose):
        raise ValueError(f"the model goes on from a {type(state).__name__}, which cannot choose rows")
    getattr(state, choose)(rows)
    return state


def tensors(state: Any) -> Iterator[Tensor]:
    """Every tensor that a model goes on from."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict | list | tuple):
        for part in state.values() if isinstance(state, dict) else state:
            yield from tensors(part)
    elif hasattr(state, "layers"):
        yield from tensors([vars(layer) for layer in state.layers])


def states(out: Any) -> dict[str, Any]:
    """What the model's next call goes on from, by the name under which it takes that."""
    return {name: out[name] for name in STATES if out.get(name) is not None}


@dataclass(frozen=True)
class Memory:
    """What a model goes on from.

    returned   it makes that itself and returns it; else it is to be given a `DynamicCache`, and writes into it
    row_bytes  of state that a row takes however long it is; 0 where there are keys and values alone, which grow with the row.
               Only rows of one length share a batch where it is not 0: what padding does to a state, no mask takes back
    together   rows may be decoded together. RWKV's own code mixes rows up, and Griffin keeps its state to itself
    """

    returned: bool
    row_bytes: int
    together: bool = True


_memories: WeakKeyDictionary[Any, Memory] = WeakKeyDictionary()


def memory(model: Any) -> Memory:
    """How this model remembers, tried once on a few tokens."""
    if model not in _memories:
        token = torch.zeros((1, 1), dtype=torch.long, device=model.device)
        with torch.inference_mode():
            held = states(call(model, input_ids=token, use_cache=True))
            returned = bool(held)
            if not returned:
                held = {STATES[0]: DynamicCache(config=model.config)}
                call(model, input_ids=token, use_cache=True, **held)
            growing = [type(s) is DynamicCache and not any(map(_recurrent, s.layers)) for s in held.values()]
            constant = not all(growing) or getattr(model, "_is_stateful", False)
            found = Memory(returned, max(sum(t.nbytes for t in tensors(held)), 1) if constant else 0)
            _memories[model] = found
            _memories[model] = replace(found, together=_rows_keep_apart(model))
    return _memories[model]


def _recurrent(layer: Any) -> bool:
    return hasattr(layer, "conv_states")


def _rows_keep_apart(model: Any) -> bool:
    """Whether rows that are decoded together, and of which one leaves, get the logits that each gets by itself."""
    tokens = np.arange(10, dtype=np.int32).reshape(2, 5)
    whole = call(model, input_ids=torch.from_numpy(tokens).long().to(model.device), use_cache=False).logits.float()
    try:
        cache = Cache(model, [tokens[0, :3], tokens[1, :3]], [0, 0, 1], 0)
        first = cache.extend(model, torch.from_numpy(tokens[[0, 0, 1], 3]).long().to(model.device))
        cache.keep(torch.tensor([1, 2], device=model.device))
        second = cache.extend(model, torch.from_numpy(tokens[:, 4]).long().to(model.device))
    except Exception:  # an architecture's own code fails in its own ways, and then takes one row at a time
        return False
    gap = max(float((first - whole[[0, 0, 1], 3]).abs().max()), float((second - whole[:, 4]).abs().max()))
    return gap < 0.1 * float(whole.std())


def fresh(model: Any) -> dict[str, Any]:
    """What the first call is given to go on from."""
    return {} if memory(model).returned else {STATES[0]: DynamicCache(config=model.config)}


@dataclass(frozen=True)
class Parts:
    """A causal LM taken apart. `kind` is the class of what its trunk returns."""

    trunk: Any
    kind: type

    def states(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """(B, L, D): what the head would read. The head itself is run on one token."""
        held: list[Tensor] = []

        def shorten(module: Any, arguments: Any, out: Any) -> Any:
            held.append(out.last_hidden_state)
            return self.kind(last_hidden_state=out.last_hidden_state[:, :1])

        handle = self.trunk.register_forward_hook(shorten)
        try:
            call(model, **inputs)
        finally:
            handle.remove()
        return held[0]

    def logits(self, model: Any, states: Tensor) -> Tensor:
        """(M, V) of states (M, D)."""
        made = self.kind(last_hidden_state=states[None])
        self.trunk.forward = lambda *_, **__: made
        try:
            return call(model, input_ids=torch.zeros((1, 1), dtype=torch.long, device=states.device), use_cache=False).logits[0]
        finally:
            del self.trunk.forward


_parts: WeakKeyDictionary[Any, Parts | None] = WeakKeyDictionary()


def parts(model: Any) -> Parts | None:
    """The model's parts; None where head after trunk is not what the model computes (tried once on three tokens)."""
    if model not in _parts:
        _parts[model] = _take_apart(model)
    return _parts[model]


@torch.no_grad()
def _take_apart(model: Any) -> Parts | None:
    entered: list[tuple[Any, Any]] = []

    def note(module: Any, arguments: Any, out: Any) -> None:
        entered.append((module, out))

    inputs = dict(input_ids=torch.arange(3, device=model.device)[None], use_cache=False)
    handles = [m.register_forward_hook(note) for m in model.modules() if m is not model]
    try:
        whole = call(model, **inputs).logits
    finally:
        for handle in handles:
            handle.remove()
    for module, out in entered:
        if hasattr(out, "last_hidden_state"):
            found = Parts(module, type(out))
            states = found.states(model, inputs)
            same = torch.allclose(found.logits(model, states[0]).float(), whole[0].float(), rtol=1e-3, atol=1e-4)
            return found if same else None
    return None


@dataclass(frozen=True)
class Head:
    """A model's own way from states (M, D) to logits (M, V)."""

    model: Any
    parts: Parts

    def __call__(self, states: Tensor) -> Tensor:
        return self.parts.logits(self.model, states)

    @property
    def weight(self) -> Tensor:
        """(V, D)"""
        return self.model.get_output_embeddings().weight


def before(model: Any, inputs: dict[str, Any], wanted: Tensor, recompute: bool = False) -> tuple[Any, Tensor]:
    """(head, states (M, D)) at the wanted (B, L) bool positions: head(states) are the logits (M, V) there.

    A model that cannot be taken apart gives its logits for states.
    """
    split = parts(model)
    with recomputed(model) if recompute else nullcontext():
        if split is None:
            return torch.nn.Identity(), call(model, **inputs).logits[wanted]
        return Head(model, split), split.states(model, inputs)[wanted]


def layers(model: Any) -> list[Any]:
    """The layers whose insides can be computed again."""
    return [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]


@contextmanager
def recomputed(model: Any) -> Iterator[None]:
    """Inside, every layer keeps its input alone for the backward pass and computes the rest again.

    The library's own switch works in training mode only, which would turn on dropout.
    """
    found = layers(model)
    for layer in found:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer in found:
            del layer.forward
