"""From samples to the arrays of a batch, and from a batch to the parts that one update takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sharpen.core import PLAIN, Batch, Rollout, Sample, Sampling, Turn


def make_batch(samples: Sequence[Sample], drawn: Sampling = PLAIN) -> Batch:
    """Samples as right-padded arrays, one row for each conversation of the student's that is learnt from.

    Unscorable samples are a ValueError: they carry no reward.
    """
    if any(s.verdict.reward is None for s in samples):
        raise ValueError("an unscorable sample reached the batch: the recipe's select function has to drop it")
    rows: list[tuple[int, Sample, Turn | Rollout]] = []
    for i, s in enumerate(samples):
        rows += [(i, s, turn) for turn in s.rollout.others if not turn.author]
        rows.append((i, s, s.rollout))
    width = max((len(said.tokens) for _, _, said in rows), default=0)
    tokens = np.zeros((len(rows), width), dtype=np.int64)
    mask, sampling = np.zeros((len(rows), width), np.float32), np.zeros((len(rows), width), np.float32)
    inputs = tokens if all(s.inputs is None for s in samples) else tokens.copy()
    for row, (_, s, said) in enumerate(rows):
        n = len(said.tokens)
        tokens[row, :n], mask[row, :n], sampling[row, :n] = said.tokens, said.sampled, said.logprobs
        if inputs is not tokens:
            inputs[row, :n] = s.inputs if s.inputs is not None and said is s.rollout else said.tokens
    mask[:, :1] = 0
    turn, credit = credited(rows, mask) if any(s.verdict.credit for s in samples) else (None, None)
    return Batch(
        tokens=tokens,
        mask=mask,
        sampling=sampling * mask,
        reward=np.array([s.verdict.reward for _, s, _ in rows], dtype=np.float32),
        group=np.array([s.group for _, s, _ in rows], dtype=np.int64),
        weight=np.array([s.weight for _, s, _ in rows], dtype=np.float32),
        lengths=np.array([len(said.tokens) for _, _, said in rows], dtype=np.int64),
        drawn=drawn,
        version=np.array([said.version for _, _, said in rows], dtype=np.int64),
        forced=np.array([said.stop == "forced" for _, _, said in rows], dtype=bool),
        inputs=None if inputs is tokens else inputs,
        turn=turn,
        credit=credit,
        sample=np.array([i for i, _, _ in rows], dtype=np.int64) if len(rows) > len(samples) else None,
    )


def credited(rows: Sequence[tuple[int, Sample, Turn | Rollout]], mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B, T) the student's turn that each trained token belongs to, -1 elsewhere, and what that turn is worth by itself: the
    rollout's reward where the verdict credits no turns.

    Raises ValueError where a verdict credits fewer turns than the student had.
    """
    turn, credit = np.full(mask.shape, -1, dtype=np.int64), np.zeros(mask.shape, dtype=np.float32)
    for row, (_, s, said) in enumerate(rows):
        worth = s.verdict.credit
        for span in said.spans:
            if worth and span.turn >= len(worth):
                raise ValueError(f"the verdict on {s.rollout.id} credits {len(worth)} turns, and there is a turn {span.turn}")
            turn[row, span.start : span.stop] = span.turn
            credit[row, span.start : span.stop] = worth[span.turn] if worth else s.verdict.reward
    off = mask == 0
    turn[off], credit[off] = -1, 0.0
    return turn, credit


def portions(batch: Batch, passes: int, minibatches: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The rows of each of a step's updates: `passes` times all of it, each time shuffled and dealt into `minibatches`.

    Groups are dealt whole, so that a response is still compared with all the others of its group. Where there are fewer groups
    than minibatches, so many minibatches. Within a portion, rows keep their order.
    """
    for _ in range(passes):
        groups = rng.permutation(np.unique(batch.group))
        for part in np.array_split(groups, min(minibatches, len(groups))):
            yield np.flatnonzero(np.isin(batch.group, part))
