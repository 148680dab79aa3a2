"""What a GPU's decoding step does between its products, in torch: the reference of decode_kernels.py.

Rows of a batch lie in slots, which they keep; a step works on the slots that it is given. Keys and values of all prompts and
rows lie in one pool of tokens for each layer: a row sees two stretches of it, its prompt's and its own.

Dimensions: B rows of a step, N tokens of the pool, S slots, H, G, E as in transformer.py, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sharpen.models.engine import sampling

CHUNK = 4096  # tokens of the vocabulary summed together before the one that was hit is looked at


@dataclass(frozen=True)
class Rows:
    """Where each row is and how it is drawn. All of it is read on the device, so a captured step fits any batch.

    plan       (3,) int64: tokens drawn so far, room for tokens of a slot, where the first slot begins in the pool
    slot       (B,) int64, of each row of the step; all below are by slot
    prompt_at, prompt_n  (S,) int64, the stretch of its prompt in the pool
    temperature, top_k, top_p, min_p  (S,); 1, more than V, 2 and 0 where nothing is cut
    greedy     (S,) int32, takes the likeliest token, with its log-probability under temperature 1
    floor, lowest  (S,) int32 and float32, room for the cuts' result
    limit, length  (S,) int64: most tokens of a row, and how many it has; 0 while it goes on
    noise      (S * room,) float64, uniform numbers
    tokens, logprobs  (S * room,) what was drawn
    token      (B,) int64, the newest of each row
    ends       (…,) int64, tokens that end a row
    cos, sin   (positions, E/2) float32
    """

    plan: Tensor
    slot: Tensor
    prompt_at: Tensor
    prompt_n: Tensor
    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    greedy: Tensor
    floor: Tensor
    lowest: Tensor
    limit: Tensor
    length: Tensor
    noise: Tensor
    tokens: Tensor
    logprobs: Tensor
    token: Tensor
    ends: Tensor
    cos: Tensor
    sin: Tensor


def add_norm(x: Tensor, delta: Tensor | None, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm (B, D) of x, to which delta is added in place first."""
    if delta is not None:
        x += delta
    return torch.nn.functional.rms_norm(x, (x.shape[1],), weight, eps)


def place(rows: Rows, qkv: Tensor, k: Tensor, v: Tensor, norms: tuple[Tensor, Tensor, float] | None) -> Tensor:
    """Turned queries (B, H, E) of qkv (B, (H + 2 G) E); turned keys, and values, go to the rows' newest place in the pool.

    norms  weights of the queries' and the keys' norm, and their epsilon (Qwen3)
    """
    groups, head = k.shape[1:]
    step, room, first = rows.plan.tolist()
    slot = rows.slot[: len(qkv)]
    parts = qkv.view(len(qkv), -1, head)
    q, key, value = parts.split([parts.shape[1] - 2 * groups, groups, groups], dim=1)
    if norms is not None:
        q, key = (torch.nn.functional.rms_norm(t, (head,), w, norms[2]) for t, w in zip((q, key), norms[:2], strict=True))
    position, address = rows.prompt_n[slot] + step - 1, first + slot * room + step - 1
    cos, sin = rows.cos[position][:, None].to(q.dtype), rows.sin[position][:, None].to(q.dtype)

    def turned(t: Tensor) -> Tensor:
        a, b = t.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)

    k[address], v[address] = turned(key), value
    return turned(q)


def attend(rows: Rows, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(B, H * E): each row's queries (B, H, E) on its prompt's tokens and its own."""
    step, room, first = rows.plan.tolist()
    out = []
    for asked, slot in zip(q, rows.slot.tolist(), strict=False):
        at, n, own = int(rows.prompt_at[slot]), int(rows.prompt_n[slot]), first + slot * room
        keys, values = (torch.cat((t[at : at + n], t[own : own + step])).transpose(0, 1) for t in (k, v))
        by_group = asked.view(k.shape[1], -1, q.shape[2]) * q.shape[2] ** -0.5
        out.append(((by_group @ keys.transpose(1, 2)).softmax(-1) @ values).flatten())
    return torch.stack(out)


def gate(both: Tensor) -> Tensor:
    """SwiGLU's product (B, I) of (B, 2 I)."""
    opening, value = both.chunk(2, dim=1)
    return torch.nn.functional.silu(opening) * value


def draw(rows: Rows, logits: Tensor, cuts: bool) -> None:
    """Draw a token for each row from logits (B, V), note it and its log-probability, and whether it ends the row.

    cuts  whether any row of the batch has one
    """
    step, room, _ = rows.plan.tolist()
    slot = rows.slot[: len(logits)]
    logp = (logits.float() / rows.temperature[slot, None]).log_softmax(-1)
    if cuts:
        logp = torch.cat([_cut(rows, one[None], int(s)) for one, s in zip(logp, slot, strict=True)])
    p = logp.exp().nan_to_num(0.0)  # what is no number shows in the log-probability
    drawn = sampling.invert(p, rows.noise[slot * room + step])
    token = torch.where(rows.greedy[slot] != 0, logits.argmax(-1), drawn)
    rows.token[: len(token)] = token
    rows.tokens[slot * room + step] = token.int()
    rows.logprobs[slot * room + step] = logp.gather(1, token[:, None]).squeeze(1)
    ended = torch.isin(token, rows.ends) | (step + 1 >= rows.limit[slot])
    rows.length[slot[ended & (rows.length[slot] == 0)]] = step + 1
    rows.plan[0] += 1


def _cut(rows: Rows, logp: Tensor, slot: int) -> Tensor:
    k, p = int(rows.top_k[slot]), float(rows.top_p[slot])
    how = sampling.Sampling(1.0, k if k <= logp.shape[1] else 0, min(p, 1.0), float(rows.min_p[slot]))
    return sampling.logprobs(logp, how) if how.cuts else logp
