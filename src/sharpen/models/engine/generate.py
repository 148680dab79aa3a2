"""Generation: many rows at once, prompts run once for their whole group, finished rows leave.

1. `generate` takes prompts as token ids and answers with tokens and the log-probabilities they were drawn with.
2. Each row draws from its own seed, so a result does not depend on what it was batched with (up to rounding).
3. Rows with prompts of any length are decoded together (cache.py).
4. Models of the Llama family take the path of transformer.py, on a GPU with Triton as a captured step (captured.py); any other
   causal LM its own forward pass (generic.py).
5. A batch that does not fit a GPU's memory is generated in two halves, which changes nothing in its answers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sharpen.core import PLAIN, NotFinite, Sampling, UserError
from sharpen.models.engine import captured, decode_step, generic, hooked, transformer
from sharpen.models.engine.hooked import Along, Hooked
from sharpen.models.engine.prefixes import Prefixes
from sharpen.models.engine.sampling import sample, uniforms

MAX_ROWS = 512  # rows decoded together …
CACHE_BYTES = 4 * 2**30  # … as long as their keys and values fit
LARGE, LARGE_CACHE_BYTES = 2**14, 2**29  # bytes of a token from which fewer must do: more rows of a large model are no faster
GPU_ROWS, GPU_CACHE_BYTES = captured.SIZES[-1], 16 * 2**30  # the same where a captured step decodes
FOREIGN_SPREAD = 64  # longest minus shortest prompt of a batch that is padded to the longest
COMPACT = 0.6  # finished rows leave once fewer than this share of the rows is active


@dataclass(frozen=True)
class Request:
    """One row to generate: prompt ids (P,), its seed, its longest response in tokens, how it is drawn.

    drawn  tokens at the end of the prompt that were drawn with this seed: what comes is as if it had never been interrupted
    hook   changes what is drawn from
    goes_on  whether it continues a turn, so that its prompt is worth remembering
    begun  tokens of the prompt that are a conversation which this is the next turn of; 0: there is none
    """

    prompt: np.ndarray
    seed: int
    max_tokens: int
    sampling: Sampling = PLAIN
    drawn: int = 0
    hook: Hooked | None = None
    goes_on: bool = False
    begun: int = 0


@dataclass(frozen=True)
class Generation:
    """tokens (N,) int32 with the end token where it was written; logprobs (N,) float32 under the distribution drawn from
    (greedy: under temperature 1); stop is "end", "length" or "stop" as in `core.Turn`."""

    tokens: np.ndarray
    logprobs: np.ndarray
    stop: str


@dataclass(frozen=True)
class StopStrings:
    """Recognises a stop string in what a row has written.

    last   (V,) bool: tokens that may complete a stop string, so that text is made only of rows that wrote one of them
    found  token ids (N,) -> whether their text holds a stop string
    """

    last: Tensor
    found: Callable[[np.ndarray], bool]


@torch.inference_mode()
def generate(
    model: Any,
    requests: Sequence[Request],
    end_ids: Sequence[int],
    pad_id: int,
    stops: Callable[[tuple[str, ...]], StopStrings] | None = None,
    done: Callable[[int, Generation], Any] | None = None,
    compile: bool = True,
    tick: Callable[[float], None] | None = None,
    together: int = MAX_ROWS,
    kept: decode_step.Kept | None = None,
    prefixes: Prefixes | None = None,
) -> list[Generation]:
    """Generate every request; the answers come in the order of the requests.

    stops  makes the recogniser of stop strings; needed where a request has any
    done   is called with the number of a request and its answer as soon as that is written, while others go on; where it
           returns True another turn will follow, and what the row has come to is remembered among `prefixes`
    tick   is told before each token what share is written; what it raises ends the batch
    compile  whether small models may take the compiled step (decode_step.py)
    together  rows decoded together, at most
    kept    where the weights of the compiled step stay for the next call; None: they are packed for this one
    prefixes  what was run before, for requests that go on from it; None: nothing is remembered
    Raises ValueError for an empty prompt, NotFinite where the model gives a token a log-probability that is no number.
    """
    if any(len(r.prompt) == 0 for r in requests):
        raise ValueError("a prompt has no tokens: the chat template rendered it empty")
    results: dict[int, Generation] = {}

    def finish(i: int, made: Generation) -> bool:
        results[i] = made
        return done is not None and done(i, made) is True

    prefixes = prefixes if transformer.supported(model) else None
    packed = None if not compile else kept.of(model) if kept else decode_step.pack(model)
    waiting = batches(model, requests, together)
    while waiting:
        batch = {i: requests[i] for i in waiting.pop(0) if i not in results}
        told = partial(tell, tick, len(results), len(batch), len(requests)) if tick else unheard
        try:
            if captured.usable(model) and not next(iter(batch.values())).hook:
                decode_captured(model, batch, end_ids, stops, finish, told=told)
            else:
                decode(model, batch, end_ids, pad_id, stops, finish, packed, told, prefixes)
        except torch.OutOfMemoryError as error:
            left = [i for i in batch if i not in results]
            if len(left) < 2:
                raise UserError(
                    "the GPU's memory does not hold one row of generation beside what else is there: take a smaller model or "
                    "fewer max_tokens"
                ) from error
            warnings.warn(f"out of GPU memory with {len(left)} rows: generating them in two halves", stacklevel=2)
            captured.release()
            waiting = [left[: len(left) // 2], left[len(left) // 2 :], *waiting]
    return [results[i] for i in range(len(requests))]


def unheard(share: float) -> None:
    """Nobody is told."""


def tell(tick: Callable[[float], None], before: int, batch: int, whole: int, share: float) -> None:
    """What share of a batch is written, as the share of all requests."""
    tick((before + batch * share) / whole)


def batches(model: Any, requests: Sequence[Request], together: int = MAX_ROWS) -> list[list[int]]:
    """Numbers of the requests that are decoded together, sorted by prompt: as many as `together` and CACHE_BYTES allow, and
    those with a hook for themselves."""
    kinds: dict[Any, list[int]] = {}
    for i, request in enumerate(requests):
        kinds.setdefault(request.hook.kind if request.hook else None, []).append(i)
    return [part for kind in kinds.values() for part in alike(model, requests, kind, together)]


def alike(model: Any, requests: Sequence[Request], numbers: Sequence[int], together: int) -> list[list[int]]:
    """`batches` of requests with one hook, or none."""
    ours = transformer.supported(model)
    memory = generic.Memory(True, 0) if ours else generic.memory(model)
    hook = requests[numbers[0]].hook if numbers else None
    token_bytes = token_bytes_of(model)
    on_processor = CACHE_BYTES if token_bytes < LARGE else min(LARGE_CACHE_BYTES, CACHE_BYTES)
    most, room = (GPU_ROWS, GPU_CACHE_BYTES) if captured.usable(model) and not hook else (together, on_processor)
    apart = hook and not all(transformer.supported(m) or generic.memory(m).together for m, _ in hook.beside)
    most = most if memory.together and not apart else 1
    if hook:
        token_bytes += sum(token_bytes_of(other) for other, _ in hook.beside)
    spread = float("inf") if ours else 0 if memory.row_bytes else FOREIGN_SPREAD
    out: list[list[int]] = []
    held = 0
    for i in sorted(numbers, key=lambda i: (len(requests[i].prompt), requests[i].prompt.tobytes(), i)):
        need = (len(requests[i].prompt) + requests[i].max_tokens) * token_bytes + memory.row_bytes
        full = out and (len(out[-1]) >= most or held + need > room)
        if not out or full or len(requests[i].prompt) - len(requests[out[-1][0]].prompt) > spread:
            out.append([])
            held = 0
        out[-1].append(i)
        held += need
    return out


def token_bytes_of(model: Any) -> int:
    """Bytes of keys and values that one token takes; 0 where the model has no attention."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None)
    if not heads:
        return 0
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return 2 * config.num_hidden_layers * (getattr(config, "num_key_value_heads", None) or heads) * width * model.dtype.itemsize


def decode(
    model: Any,
    requests: dict[int, Request],
    end_ids: Sequence[int],
    pad_id: int,
    stops: Callable[[tuple[str, ...]], StopStrings] | None,
    finish: Callable[[int, Generation], bool],
    packed: decode_step.Packed | None,
    tick: Callable[[float], None] = unheard,
    prefixes: Prefixes | None = None,
) -> None:
    """Generate one batch, sorted by prompt, to its end. `finish` gets each answer when it is complete; True: remember it."""
    numbers, asked = list(requests), list(requests.values())
    device, limit = model.device, max(r.max_tokens for r in asked)
    along = Along(model, [r.hook for r in asked if r.hook], pad_id, packed) if asked[0].hook else None
    state = begin(model, asked, pad_id, packed, along is not None and along.hidden, prefixes)
    draw, logits = Drawing(asked, stops, device), state.logits
    limits = torch.tensor([r.max_tokens for r in asked], device=device)
    ends = torch.tensor(list(end_ids), device=device)
    rows, active = torch.arange(len(asked), device=device), limits > 0  # request of each row of the cache; whether it goes on
    tokens = torch.full((len(asked), limit), pad_id, dtype=torch.int32, device=device)
    logprobs = torch.zeros((len(asked), limit), device=device)

    def hand_over(gone: Tensor, length: int) -> None:
        of = rows[gone]
        written, chosen = tokens[of, :length].cpu().numpy(), logprobs[of, :length].cpu().numpy()
        if not np.isfinite(chosen).all():
            raise NotFinite(f"a token has the log-probability {chosen[~np.isfinite(chosen)][0]}")
        on: dict[int, np.ndarray] = {}  # what is gone on from, by its row of the cache
        for place, i, row, logprob in zip(gone.tolist(), of.tolist(), written, chosen, strict=True):
            stop = "end" if length and row[-1] in end_ids else "stop" if draw.stopped(asked[i], row) else "length"
            if finish(numbers[i], Generation(row, logprob, stop)) and length:
                on[place] = np.concatenate([asked[i].prompt, row[:-1]])
        remember(prefixes, on, state)

    hand_over((~active).nonzero().squeeze(1), 0)
    left = int(active.sum())
    for t in range(limit):
        tick(1 - left / len(asked) * (1 - t / limit))
        if along:
            logits = along(logits, tokens[rows, :t], state)
        token, logprob = draw(logits, rows, t)
        tokens[rows, t], logprobs[rows, t] = token.int(), logprob
        if t == 0 and not logprob.isfinite().all():  # the later ones are looked at when their row ends
            raise NotFinite(f"a token has the log-probability {logprob[~logprob.isfinite()][0].item()}")
        ended = active & (torch.isin(token, ends) | (limits <= t + 1) | draw.completed(token, tokens, rows, active, t))
        if count := int(ended.sum()):
            hand_over(ended.nonzero().squeeze(1), t + 1)
            active, left = active & ~ended, left - count
            if left == 0:
                break
            if left < COMPACT * len(rows):
                keep = active.nonzero().squeeze(1)
                state.keep(keep)
                rows, limits, token, active = rows[keep], limits[keep], token[keep], active[keep]
                if along:
                    along.keep(keep)
        if along:
            along.extend(token)
        logits = state.extend(model, token)


def remember(prefixes: Prefixes | None, on: dict[int, np.ndarray], state: Any) -> None:
    """Keep the keys and values of these rows of a cache, under the tokens that they are of."""
    if prefixes is not None and on:
        for tokens, parts in zip(on.values(), state.pasts([*on]), strict=True):
            prefixes.keep(tokens, parts)


def begin(
    model: Any,
    asked: Sequence[Request],
    pad_id: int,
    packed: decode_step.Packed | None,
    hidden: bool,
    prefixes: Prefixes | None,
) -> Any:
    """The state of a batch, sorted by prompt, after its prompts: of what is remembered of these, nothing is run again."""
    prompts: dict[bytes, int] = {}
    of_row = [prompts.setdefault(r.prompt.tobytes(), len(prompts)) for r in asked]
    distinct = [np.frombuffer(p, dtype=np.int32) for p in prompts]
    if prefixes is None or not any(r.goes_on or r.begun for r in asked):
        return hooked.start(model, distinct, of_row, pad_id, packed, hidden)
    goes_on, begun = any(r.goes_on for r in asked), dict(zip(of_row, [r.begun for r in asked], strict=True))
    found = [
        prefixes.longest(p, 0 if goes_on else begun[i]) if goes_on or begun[i] else (0, ()) for i, p in enumerate(distinct)
    ]
    prefixes.tokens += sum(n for n, _ in found)
    state = hooked.start(model, distinct, of_row, pad_id, packed, hidden, found)
    first = 0
    for block in state.blocks if goes_on else ():
        last = first + len(block.k[0])
        prefixes.add(distinct[first:last], block.k, block.v)
        first = last
    return state


def decode_captured(
    model: Any,
    requests: dict[int, Request],
    end_ids: Sequence[int],
    stops: Callable[[tuple[str, ...]], StopStrings] | None,
    finish: Callable[[int, Generation], bool],
    ops: ModuleType | None = None,
    told: Callable[[float], None] = unheard,
) -> None:
    """The same as `decode`, by captured.py. `ops` as there; `told` is told what share is written whenever the host looks."""
    numbers = [i for i, r in requests.items() if r.max_tokens > 0]
    for i in requests.keys() - set(numbers):
        finish(i, Generation(np.zeros(0, np.int32), np.zeros(0, np.float32), "length"))
    if not numbers:
        return
    asked = [requests[i] for i in numbers]
    recognisers = recognised({r.sampling for r in asked}, stops)
    last = {how: recogniser.last.cpu().numpy() for how, recogniser in recognisers.items()}

    def completed(row: int, tokens: np.ndarray, looked: int) -> int:
        how = asked[row].sampling
        ends = looked + np.flatnonzero(last[how][tokens[looked:]]) + 1
        return next((int(end) for end in ends if recognisers[how].found(tokens[:end])), 0)

    def hand_over(row: int, tokens: np.ndarray, logprobs: np.ndarray) -> None:
        if not np.isfinite(logprobs).all():
            raise NotFinite(f"a token has the log-probability {logprobs[~np.isfinite(logprobs)][0]}")
        how = asked[row].sampling
        stopped = how in recognisers and recognisers[how].found(tokens)
        stop = "end" if tokens[-1] in end_ids else "stop" if stopped else "length"
        finish(numbers[row], Generation(tokens, logprobs, stop))

    captured.decode(model, asked, end_ids, hand_over, completed, ops, told)


def recognised(
    kinds: Collection[Sampling], stops: Callable[[tuple[str, ...]], StopStrings] | None
) -> dict[Sampling, StopStrings]:
    """What recognises the stop strings of each kind of drawing that has any."""
    if any(how.stop for how in kinds) and stops is None:
        raise ValueError("a request has stop strings, and there is no tokenizer to recognise them")
    return {how: stops(how.stop) for how in kinds if how.stop and stops}


class Drawing:
    """How each row of a batch is drawn and what else ends it; rows that share a `Sampling` are drawn together."""

    def __init__(self, asked: Sequence[Request], stops: Callable[[tuple[str, ...]], StopStrings] | None, device: Any):
        self.kinds = list(dict.fromkeys(r.sampling for r in asked))
        self.kind = torch.tensor([self.kinds.index(r.sampling) for r in asked], device=device)
        greedy = [0 if r.sampling.temperature == 0 else r.max_tokens for r in asked]
        self.noise = uniforms([r.seed for r in asked], greedy, [r.drawn for r in asked]).to(device)
        self.stops = recognised(self.kinds, stops)

    def __call__(self, logits: Tensor, rows: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Token t of the given rows, and its log-probability."""
        u = self.noise[rows, t] if t < self.noise.shape[1] else self.noise.new_zeros(len(rows))
        if len(self.kinds) == 1:
            return sample(logits, self.kinds[0], u)
        token, logprob = torch.empty(len(rows), dtype=torch.long, device=rows.device), logits.new_empty(len(rows))
        for number, how in enumerate(self.kinds):
            mine = self.kind[rows] == number
            token[mine], logprob[mine] = sample(logits[mine], how, u[mine])
        return token, logprob

    def completed(self, token: Tensor, tokens: Tensor, rows: Tensor, active: Tensor, t: int) -> Tensor:
        """(rows,) bool: rows whose newest token completes one of their stop strings."""
        out = torch.zeros_like(active)
        for how, recogniser in self.stops.items():
            possible = active & (self.kind[rows] == self.kinds.index(how)) & recogniser.last[token]
            for i in possible.nonzero().flatten().tolist():
                out[i] = recogniser.found(tokens[rows[i], : t + 1].cpu().numpy())
        return out

    def stopped(self, request: Request, written: np.ndarray) -> bool:
        return request.sampling in self.stops and self.stops[request.sampling].found(written)
