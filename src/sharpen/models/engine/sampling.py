"""Drawing tokens: temperature, top-k, top-p and min-p, for a batch of rows at once, each row with its own random numbers.

The log-probability that comes back is the one under the distribution that was drawn from, all transforms included, and
`logprobs` takes the trainer's at the same one: otherwise their ratio is biased as soon as a transform is set.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sharpen.core import Sampling
from sharpen.models.engine import decode_step

BLOCK = 256  # tokens of the vocabulary summed together before the one that was hit is looked at


def uniforms(seeds: list[int], lengths: list[int], used: list[int] | None = None) -> Tensor:
    """(B, T) numbers in [0, 1) as float64, row i from seeds[i] alone and lengths[i] long; zeros behind.

    used  how many numbers of its seed each row has used before; None: none
    """
    noise = np.zeros((len(seeds), max(lengths, default=0)))
    for i, (seed, n, before) in enumerate(zip(seeds, lengths, used or [0] * len(seeds), strict=True)):
        noise[i, :n] = np.random.Generator(np.random.Philox(key=seed)).random(before + n)[before:]
    return torch.from_numpy(noise)


def logprobs(logits: Tensor, how: Sampling, chosen: Tensor | None = None) -> Tensor:
    """(B, V) float32 log-probabilities of the distribution that is drawn from; -inf where a token cannot be drawn.

    Under temperature 0, greedy, they are those of temperature 1 without any cut.

    chosen  (B,) tokens that stay in whatever the cuts say: what has been drawn could be drawn, also where the trainer's
            last bit says otherwise
    """
    logits = logits.float() if how.temperature in (0, 1) else logits.float() / how.temperature
    logp = logits.log_softmax(dim=-1)
    if not how.cuts:
        return logp
    floor = smallest_kept(logp.detach(), how)
    if chosen is not None:
        floor = torch.minimum(floor, logp.detach().gather(1, chosen[:, None]))
    return logp.masked_fill(logp < floor, float("-inf")).log_softmax(dim=-1)


def smallest_kept(logp: Tensor, how: Sampling) -> Tensor:
    """(B, 1) log-probability of the least likely token that no cut removes; tokens that tie with it stay as well.

    top_k  the k likeliest
    top_p  the fewest likeliest whose probabilities add up to p (Holtzman et al., arXiv 1904.09751, section 3.1)
    min_p  those at least min_p times as likely as the likeliest (Nguyen et al., arXiv 2407.01082)
    Each cut looks at the uncut distribution, so their order does not matter, and the likeliest token always stays.
    """
    best = logp.amax(dim=-1, keepdim=True)
    floor = best + np.log(how.min_p) if how.min_p > 0 else torch.full_like(best, float("-inf"))
    if 0 < how.top_k < logp.shape[-1]:
        floor = torch.maximum(floor, logp.topk(how.top_k, dim=-1).values[:, -1:])
    if how.top_p < 1:
        ordered = logp.sort(dim=-1, descending=True).values
        before = ordered.exp().cumsum(dim=-1) - ordered.exp()  # of all likelier tokens
        inside = before < how.top_p
        inside[:, 0] = True
        floor = torch.maximum(floor, ordered.masked_fill(~inside, float("inf")).amin(dim=-1, keepdim=True))
    return floor


def sample(logits: Tensor, how: Sampling, u: Tensor) -> tuple[Tensor, Tensor]:
    """Draw one token for each row by inverting its distribution at u (B,): (tokens (B,), log-probabilities (B,)).

    Temperature 0 takes the likeliest token.
    """
    if not how.cuts and (drawn := decode_step.draw(logits, how.temperature, u)):
        return drawn
    logp = logprobs(logits, how)
    token = logits.argmax(dim=-1) if how.temperature == 0 else invert(logp.exp(), u)
    return token, logp.gather(1, token[:, None]).squeeze(1)


def invert(p: Tensor, u: Tensor) -> Tensor:
    """(B,) the token at which the cumulative sum of p (B, V) passes u times its total; never one of probability 0.

    In two steps, blocks and then the tokens of one block, so that only the blocks' sums need double precision for the
    whole vocabulary.
    """
    rows, vocabulary = p.shape
    p = torch.nn.functional.pad(p, (0, -vocabulary % BLOCK)).view(rows, -1, BLOCK) if vocabulary > BLOCK else p[:, None]
    total = p.sum(dim=-1, dtype=torch.float64).cumsum(dim=-1)
    goal = u[:, None] * total[:, -1:]
    block = _first_above(total, goal)
    inside = p.gather(1, block[..., None].expand(-1, -1, p.shape[-1])).squeeze(1).double().cumsum(dim=-1)
    # What lies before the block is a difference of sums; rounding may put the goal a hair outside the block.
    start = total.gather(1, block) - inside[:, -1:]
    within = (goal - start).clamp(min=0.0)
    return (block * p.shape[-1] + _first_above(inside, within)).squeeze(1).clamp(max=vocabulary - 1)


def _first_above(total: Tensor, goal: Tensor) -> Tensor:
    """(B, 1) first index whose cumulative sum exceeds the goal; the last of positive probability where rounding leaves none.

    Always an index, of what is no number too: who draws sees that by the log-probability, and a GPU would be lost otherwise.
    """
    found = torch.searchsorted(total, goal, right=True)
    last = torch.searchsorted(total, total[:, -1:].contiguous())
    return torch.minimum(found, last).clamp(max=total.shape[-1] - 1)
