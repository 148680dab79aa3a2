"""Proof that a server runs the weights that were published: what it says of a fixed text is set against what is computed here.

1. The text's log-probabilities under each published policy are computed once, when it is published (`Expected`).
2. A server that agrees with an earlier policy, or with the first, and not with the present one has a name: stale weights, the
   base without its adapter. One that agrees with none runs other weights.
3. An engine computes with noise of its own, such as bfloat16's. How much is seen at the first publish; what is nearer to
   another policy than to the present one is found below the noise, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sharpen.core import Batch, FatalDiagnosis, Sampling
from sharpen.engines.publish import Published
from sharpen.hashing import derive
from sharpen.models import likeliest

TEXT = "Ada has 12 apples, gives away 5 of them and buys 3 more. How many are left? Say only the number, then why."
ANSWER = "10. Twelve less five is seven, and three more make ten: the rest of the story changes nothing about that."
LONGEST = 96  # tokens of the text
FIRST_GAP = 0.25  # nats: an engine further from ours than this, in the mean, computes something else
LEAST_GAP = 2e-4  # nats that no fault is read into, unless another policy explains them
NOISE = 4.0  # times the first gap: more is no noise
NEARER = 0.25  # of the distance to the present policy: that near to another one is no accident
EXACT = 1e-6  # nats: nothing is nearer than this
ROWS_GAP = 0.1  # nats in the mean beyond noise: log-probabilities that far off do not belong to their token ids


VISIBLE = 1.0  # nats that altered weights are off, at least
ROUGH = VISIBLE / 40  # nats: the noise that an engine of lower precision may have with them, which no training has made smooth
FAINT = 0.02  # of a tensor's own size: the least that it is altered by
BLANK = 0.01  # the size of a tensor of zeros, such as half of a new adapter's
TIMES = 8  # how often that is doubled, at most


@dataclass(frozen=True)
class Expected:
    """logprobs (P,) float32 of the text under the weights of `published`, NaN first."""

    published: Published
    logprobs: np.ndarray


def text(policy: Any) -> np.ndarray:
    """(P,) int32 token ids of the fixed text."""
    asked = json.dumps([{"role": "user", "content": TEXT}])
    return np.concatenate([policy.encode(policy.render(asked, True)), policy.encode(ANSWER)]).astype(np.int32)[:LONGEST]


def expected(policy: Any, published: Published) -> Expected:
    (found,) = likeliest(policy.model, [text(policy)], 0)
    return Expected(published, found.logprobs)


@contextmanager
def altered(policy: Any, own: np.ndarray) -> Iterator[None]:
    """Inside, every trained tensor of the policy is another, by as little as makes the text's log-probabilities, `own`,
    VISIBLE nats others in the mean. Afterwards all are what they were, bit for bit."""
    kept = [tensor.detach().to("cpu", copy=True) for tensor in policy.trained.values()]  # a GPU may have no room for them
    try:
        for doubled in range(TIMES):
            rng = torch.Generator().manual_seed(derive(0, "rehearsal") % 2**63)
            share = FAINT * 2**doubled
            policy.put([tensor + noise(tensor, share, rng) for tensor in kept])
            (found,) = likeliest(policy.model, [text(policy)], 0)
            if gap(found.logprobs, own) >= VISIBLE:
                break
        yield
    finally:
        policy.put(kept)


def noise(tensor: torch.Tensor, share: float, rng: torch.Generator) -> torch.Tensor:
    """Normal noise of this share of the tensor's root mean square."""
    size = float(tensor.float().square().mean().sqrt()) or BLANK
    return (torch.randn(tensor.shape, generator=rng) * (share * size)).to(tensor.dtype)


def gap(one: np.ndarray, other: np.ndarray) -> float:
    """The mean distance of two texts' log-probabilities, in nats; infinite where they are not of one text."""
    if one is None or one.shape != other.shape or not np.isfinite(one[1:]).all():
        return float("inf")
    return float(np.abs(one[1:] - other[1:]).mean())


def fault(said: np.ndarray, now: Expected, before: Sequence[Expected], noise: float) -> tuple[str, float, str] | None:
    """What is wrong with weights that say this: a name, the distance in nats, and whose weights they seem to be. None: nothing.

    before  earlier policies, the first one first
    noise   the distance at the first publish
    """
    off = gap(said, now.logprobs)
    others = [(gap(said, e.logprobs), i, e) for i, e in enumerate(before) if e.published.name != now.published.name]
    if others and off > EXACT:
        distance, number, nearest = min(others, key=lambda found: (found[0], found[1]))
        if distance <= NEARER * off:
            base = nearest.published.adapter and number == 0
            kind = "adapter_ignored" if base else "stale_weights"
            whose = "the model without its adapter" if base else f"version {nearest.published.version}"
            return kind, off, whose
    if off > max(LEAST_GAP, NOISE * noise):
        return ("wrong_adapter" if now.published.adapter else "wrong_weights"), off, "no policy of this run"
    return None


def check_rows(
    policy: Any, rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], how: Sampling, where: str, noise: float
) -> None:
    """FatalDiagnosis where log-probabilities do not belong to the token ids that they came with.

    rows   (prompt ids, ids written, their log-probabilities) of each
    noise  as in `fault`
    """
    off = gap_of_rows(policy, rows, how)
    if off <= ROWS_GAP + NOISE * noise:
        return
    plain = gap_of_rows(policy, rows, Sampling()) if how.cuts or how.temperature not in (0, 1) else off
    if plain < off / 2:
        raise FatalDiagnosis(
            f"other_distribution (nats {off:.3g}): the log-probabilities from {where} are those before temperature and cuts; "
            "learning would be biased. Start vLLM with --logprobs-mode processed_logprobs; nothing was learnt of these."
        )
    raise FatalDiagnosis(
        f"other_ids (nats {off:.3g}): the log-probabilities from {where} do not belong to the token ids that came with them. "
        "Nothing was learnt of them. The server, or what stands before it, changes ids: look at both, then begin or resume the "
        "run."
    )


def gap_of_rows(policy: Any, rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], how: Sampling) -> float:
    lengths = np.array([len(prompt) + len(ids) for prompt, ids, _ in rows])
    shape = len(rows), int(lengths.max())
    tokens, mask, sampling = np.zeros(shape, dtype=np.int64), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for i, (prompt, ids, logprobs) in enumerate(rows):
        tokens[i, : lengths[i]] = np.concatenate([prompt, ids])
        mask[i, len(prompt) : lengths[i]], sampling[i, len(prompt) : lengths[i]] = 1, logprobs
    zero = np.zeros(len(rows), dtype=np.float32)
    batch = Batch(tokens, mask, sampling, zero, np.arange(len(rows)), zero + 1, lengths, how)
    found = np.abs(policy.logprobs(batch) - sampling)[mask > 0]
    return float(np.where(np.isfinite(found), found, 100.0).mean())
