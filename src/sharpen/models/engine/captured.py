"""Decoding on a GPU: a step in few kernels, drawing and end of row among them, captured as a graph that any batch replays.

1. Rows keep their slot, and with it their keys and values, from the first token to the last. What a step works on is a list of
   slots, so rows leave without a copy, and a long answer costs no more room than it was given at the beginning.
2. A step is captured once for each of SIZES numbers of rows. It reads all else from tensors, so the graphs outlive the batch:
   they hold for as long as the model's weights stay where they are.
3. The host looks every LOOK tokens. What a row draws behind its end is thrown away.
4. Each row draws with its own uniform numbers (sampling.py), so its answer does not depend on what it was batched with.

Where a driver cannot capture, the same kernels are started one by one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from sharpen.core import NotFinite
from sharpen.models.engine import decode_ops, transformer
from sharpen.models.engine.packing import pack
from sharpen.models.engine.sampling import uniforms

SIZES = (1, 4, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)  # rows of a captured step
LOOK = 8  # tokens between two looks of the host
PREFILL_TOKENS = 16384

held: WeakKeyDictionary[Any, Decoder] = WeakKeyDictionary()


@cache
def kernels() -> ModuleType | None:
    """decode_kernels.py; None where Triton is not installed."""
    try:
        from sharpen.models.engine import decode_kernels
    except ImportError:
        return None
    return decode_kernels


def usable(model: Any) -> bool:
    """Whether this model, where it is, is decoded here."""
    if model.device.type != "cuda" or not transformer.supported(model):
        return False
    head = model.model.layers[0].self_attn.head_dim
    return head >= 16 and head & (head - 1) == 0 and kernels() is not None


def release() -> None:
    """Give back the room for keys and values and the graphs of all models."""
    held.clear()


class Decoder:
    """Room for a model's rows, and its captured steps.

    slots      rows that have room; one more is a slot of nobody's, for the rows that fill up a captured step
    tokens     of prompts and rows together, that have room
    positions  longest prompt and answer together
    """

    def __init__(self, model: Any, ops: ModuleType, slots: int, tokens: int, positions: int, ends: Sequence[int]):
        device, config = model.device, model.config
        self.ops, self.slots, self.tokens, self.positions, self.ends = ops, slots, tokens, positions, tuple(ends)
        self.weights = places(model)
        shape = (tokens, config.num_key_value_heads, model.model.layers[0].self_attn.head_dim)
        self.k = [torch.empty(shape, dtype=model.dtype, device=device) for _ in range(config.num_hidden_layers)]
        self.v = [torch.empty_like(t) for t in self.k]
        cos, sin = transformer.rope(model, torch.arange(positions, device=device), model.dtype)

        def numbers(kind: torch.dtype, size: int = slots + 1) -> Tensor:
            return torch.zeros(size, dtype=kind, device=device)

        longs = {name: numbers(torch.long) for name in ("prompt_at", "prompt_n", "top_k", "limit", "length")}
        floats = {name: numbers(torch.float32) for name in ("temperature", "top_p", "min_p", "lowest")}
        self.rows = decode_ops.Rows(
            plan=numbers(torch.long, 3),
            slot=numbers(torch.long),
            token=numbers(torch.long),
            greedy=numbers(torch.int32),
            floor=numbers(torch.int32),
            noise=numbers(torch.float64, tokens),
            tokens=numbers(torch.int32, tokens),
            logprobs=numbers(torch.float32, tokens),
            ends=torch.tensor(list(ends), dtype=torch.long, device=device),
            cos=cos.flatten(1).float(),
            sin=sin[:, 0, 1].float().contiguous(),
            **longs,
            **floats,
        )
        self.graphs: dict[tuple[int, bool], Any] = {}
        self.seen: set[tuple[int, bool]] = set()
        self.captures = device.type == "cuda"
        self.memory = torch.cuda.graph_pool_handle() if self.captures else None

    def fits(self, model: Any, ops: ModuleType, slots: int, tokens: int, positions: int, ends: Sequence[int]) -> bool:
        room = slots <= self.slots and tokens <= self.tokens and positions <= self.positions
        return room and ops is self.ops and tuple(ends) == self.ends and self.weights == places(model)

    def begin(self, asked: Sequence[Any], prompts: Sequence[np.ndarray], of_row: Sequence[int]) -> int:
        """Write down a batch, one row in each slot; returns the room of a slot in tokens."""
        room = max(r.max_tokens for r in asked)
        at = np.cumsum([0, *map(len, prompts)])
        how = [r.sampling for r in asked]
        cut = [h.cuts for h in how]
        rows, nobody = self.rows, [0]
        self.write(rows.plan, [0, room, int(at[-1])])
        self.write(rows.slot, list(range(len(asked))))
        self.write(rows.prompt_at, [int(at[i]) for i in of_row] + nobody)
        self.write(rows.prompt_n, [len(prompts[i]) for i in of_row] + nobody)
        self.write(rows.temperature, [h.temperature or 1.0 for h in how] + [1.0])
        self.write(rows.greedy, [int(h.temperature == 0) for h in how] + nobody)
        endless = 2**62
        self.write(rows.top_k, [h.top_k if c and h.top_k else endless for h, c in zip(how, cut, strict=True)] + [endless])
        self.write(rows.top_p, [h.top_p if c and h.top_p < 1 else 2.0 for h, c in zip(how, cut, strict=True)] + [2.0])
        self.write(rows.min_p, [h.min_p if c else 0.0 for h, c in zip(how, cut, strict=True)] + [0.0])
        self.write(rows.limit, [r.max_tokens for r in asked] + [1])
        self.write(rows.length, [0] * len(asked) + [1])
        drawn = [0 if r.sampling.temperature == 0 else r.max_tokens for r in asked]
        noise = uniforms([r.seed for r in asked], drawn, [r.drawn for r in asked])
        noise = torch.nn.functional.pad(noise, (0, room - noise.shape[1]))
        rows.noise[: noise.numel()].copy_(noise.flatten())
        return room

    def write(self, place: Tensor, values: Sequence[float]) -> None:
        place[: len(values)].copy_(torch.tensor(values, dtype=place.dtype))

    def prefill(self, model: Any, prompts: Sequence[np.ndarray]) -> Tensor:
        """Run each prompt once, into the beginning of the pool: logits (S, V) after each."""
        out, start, first = [], 0, 0
        while first < len(prompts):
            last, held = first + 1, len(prompts[first])
            while last < len(prompts) and held + len(prompts[last]) <= PREFILL_TOKENS:
                held, last = held + len(prompts[last]), last + 1
            part = prompts[first:last]
            packed = pack(part, [0] * len(part), range(len(part)), model.device)
            span = slice(start, start + held)

            def attend(
                layer: int, q: Tensor, k: Tensor, v: Tensor, span: slice = span, packed: Any = packed
            ) -> Tensor:  # as defaults: the loop goes on
                self.k[layer][span], self.v[layer][span] = k, v
                return packed.attend(layer, q, k, v)

            ends = torch.tensor([len(p) for p in part], device=model.device).cumsum(0) - 1
            hidden = transformer.hidden_states(model, packed.tokens, packed.positions, attend, needed=ends)
            out.append(model.lm_head(hidden))
            start, first = start + held, last
        return torch.cat(out)

    def forward(self, model: Any, size: int, cuts: bool) -> None:
        """One token further, for the first `size` rows."""
        ops, rows = self.ops, self.rows
        x = model.model.embed_tokens(rows.token[:size])
        delta = None
        for layer, k, v in zip(model.model.layers, self.k, self.v, strict=True):
            a, mlp = layer.self_attn, layer.mlp
            normed = ops.add_norm(x, delta, layer.input_layernorm.weight, layer.input_layernorm.variance_epsilon)
            norms = (a.q_norm.weight, a.k_norm.weight, a.q_norm.variance_epsilon) if hasattr(a, "q_norm") else None
            q = ops.place(rows, transformer.together((a.q_proj, a.k_proj, a.v_proj), normed), k, v, norms)
            delta = a.o_proj(ops.attend(rows, q, k, v))
            after = layer.post_attention_layernorm
            normed = ops.add_norm(x, delta, after.weight, after.variance_epsilon)
            delta = mlp.down_proj(ops.gate(transformer.together((mlp.gate_proj, mlp.up_proj), normed)))
        normed = ops.add_norm(x, delta, model.model.norm.weight, model.model.norm.variance_epsilon)
        ops.draw(rows, model.lm_head(normed), cuts)

    def step(self, model: Any, size: int, cuts: bool) -> None:
        """The same, replayed where it can. A step runs once before it is captured: libraries set themselves up then."""
        kind = (size, cuts)
        if self.captures and kind in self.seen and kind not in self.graphs:
            self.capture(model, kind)
        if kind in self.graphs:
            self.graphs[kind].replay()
        else:
            self.seen.add(kind)
            self.forward(model, *kind)

    def capture(self, model: Any, kind: tuple[int, bool]) -> None:
        graph, stream, now = torch.cuda.CUDAGraph(), torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(now)
        try:
            with torch.cuda.stream(stream):
                graph.capture_begin(pool=self.memory, capture_error_mode="thread_local")
                try:
                    self.forward(model, *kind)
                finally:
                    graph.capture_end()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.captures = False
            reason = str(error).splitlines()[0]
            warnings.warn(f"this GPU's driver captures no graphs ({reason}): decoding starts kernels one by one", stacklevel=2)
            return
        now.wait_stream(stream)
        self.graphs[kind] = graph


def places(model: Any) -> tuple[int, ...]:
    """Where the weights are: a captured step reads them from there."""
    return tuple(p.data_ptr() for p in model.parameters())


def size_for(rows: int) -> int:
    return next(size for size in SIZES if size >= rows)


@torch.inference_mode()
def decode(
    model: Any,
    asked: Sequence[Any],
    end_ids: Sequence[int],
    finish: Callable[[int, np.ndarray, np.ndarray], None],
    completed: Callable[[int, np.ndarray, int], int],
    ops: ModuleType | None = None,
    told: Callable[[float], object] = bool,
) -> None:
    """Generate one batch of generate.Request, sorted by prompt, to its end.

    finish     is called with the number of a row, its tokens and their log-probabilities as soon as they are seen
    completed  (row, tokens (T,), how many of them were looked at before) -> length at which one of its stop strings is
               complete; 0 where none is
    ops        decode_ops.py in place of the kernels
    told       is told what share is written; what it raises ends the batch
    Raises NotFinite where the model gives a first token a log-probability that is no number.
    """
    ops = ops or kernels()
    assert ops is not None and all(r.max_tokens for r in asked)
    prompts: dict[bytes, int] = {}
    of_row = [prompts.setdefault(r.prompt.tobytes(), len(prompts)) for r in asked]
    distinct = [np.frombuffer(p, dtype=np.int32) for p in prompts]
    longest, before = max(r.max_tokens for r in asked), sum(map(len, distinct))
    need = before + (len(asked) + 1) * longest
    positions = max(len(p) for p in distinct) + longest
    wanted = (size_for(len(asked)), need, positions)
    if (own := held.get(model)) is None or not own.fits(model, ops, *wanted, end_ids):
        held.pop(model, None)
        del own
        own = Decoder(model, ops, wanted[0], need + need // 8, 1 << (positions - 1).bit_length(), end_ids)
        held[model] = own
    room = own.begin(asked, distinct, of_row)
    cuts, rows = any(r.sampling.cuts for r in asked), own.rows
    own.ops.draw(rows, own.prefill(model, distinct)[torch.tensor(of_row, device=model.device)], cuts)
    first = rows.logprobs[: len(asked) * room].view(-1, room)[:, 0]
    if not first.isfinite().all():  # the later ones are looked at when their row ends
        raise NotFinite(f"a token has the log-probability {first[~first.isfinite()][0].item()}")
    live, drawn, size, looked = np.arange(len(asked)), 1, 0, 0
    while len(live):
        told(drawn / longest)
        length = rows.length[: len(asked)].cpu().numpy()
        written = rows.tokens[: len(asked) * room].view(-1, room)
        length = stopped(written, length, live, drawn, looked, completed, asked)
        gone, live = live[length[live] > 0], live[length[live] == 0]
        if len(gone):
            hand_over(own, gone, length, room, finish)
        looked = drawn
        if not len(live):
            break
        if (wanted_size := size_for(len(live))) != size:
            size = wanted_size
            compact(rows, live, size, len(asked), drawn, room)
        for _ in range(min(LOOK, longest - drawn)):
            own.step(model, size, cuts)
            drawn += 1


def compact(rows: decode_ops.Rows, live: np.ndarray, size: int, nobody: int, drawn: int, room: int) -> None:
    """Let the next step work on the live rows, filled up to its size with the slot of nobody's."""
    slots = torch.from_numpy(np.concatenate([live, np.full(size - len(live), nobody)])).to(rows.slot.device)
    rows.slot[:size] = slots
    rows.token[:size] = rows.tokens[slots * room + drawn - 1].long()


def stopped(
    written: Tensor,
    length: np.ndarray,
    live: np.ndarray,
    drawn: int,
    looked: int,
    completed: Callable[[int, np.ndarray, int], int],
    asked: Sequence[Any],
) -> np.ndarray:
    """(rows,) lengths, with those of rows that completed a stop string since the host last looked."""
    with_stops = [i for i in live.tolist() if asked[i].sampling.stop]
    if with_stops:
        texts = written[torch.tensor(with_stops, device=written.device), :drawn].cpu().numpy()
        for i, tokens in zip(with_stops, texts, strict=True):
            tokens = tokens[: length[i] or drawn]
            length[i] = completed(i, tokens, looked) or length[i]
    return length


def hand_over(
    own: Decoder, gone: np.ndarray, length: np.ndarray, room: int, finish: Callable[[int, np.ndarray, np.ndarray], None]
) -> None:
    longest, which = int(length[gone].max()), torch.from_numpy(gone).to(own.rows.tokens.device)
    used = own.rows.tokens.numel() // room * room
    tokens, logprobs = (t[:used].view(-1, room)[which, :longest].cpu().numpy() for t in (own.rows.tokens, own.rows.logprobs))
    for n in np.argsort(length[gone], kind="stable"):
        end = length[gone[n]]
        finish(int(gone[n]), tokens[n, :end].copy(), logprobs[n, :end].copy())
