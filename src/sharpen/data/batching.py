"""From samples to the arrays of a batch, and from a batch to the parts that one update takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sharpen.core import PLAIN, Batch, Sample, Sampling


def make_batch(samples: Sequence[Sample], drawn: Sampling = PLAIN) -> Batch:
    """Samples as right-padded arrays. Unscorable samples are a ValueError: they carry no reward."""
    if any(s.verdict.reward is None for s in samples):
        raise ValueError("an unscorable sample reached the batch: the recipe's data function has to drop it")
    width = max((len(s.rollout.tokens) for s in samples), default=0)
    tokens = np.zeros((len(samples), width), dtype=np.int64)
    mask, sampling = np.zeros((len(samples), width), np.float32), np.zeros((len(samples), width), np.float32)
    inputs = tokens if all(s.inputs is None for s in samples) else tokens.copy()
    for i, s in enumerate(samples):
        n = len(s.rollout.tokens)
        tokens[i, :n], mask[i, :n], sampling[i, :n] = s.rollout.tokens, s.rollout.sampled, s.rollout.logprobs
        inputs[i, :n] = s.rollout.tokens if s.inputs is None else s.inputs
    mask[:, :1] = 0
    return Batch(
        tokens=tokens,
        mask=mask,
        sampling=sampling * mask,
        reward=np.array([s.verdict.reward for s in samples], dtype=np.float32),
        group=np.array([s.group for s in samples], dtype=np.int64),
        weight=np.array([s.weight for s in samples], dtype=np.float32),
        lengths=np.array([len(s.rollout.tokens) for s in samples], dtype=np.int64),
        drawn=drawn,
        version=np.array([s.rollout.version for s in samples], dtype=np.int64),
        forced=np.array([s.rollout.stop == "forced" for s in samples], dtype=bool),
        inputs=None if inputs is tokens else inputs,
    )


def portions(batch: Batch, passes: int, minibatches: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The rows of each of a step's updates: `passes` times all of it, each time shuffled and dealt into `minibatches`.

    Groups are dealt whole, so that a response is still compared with all the others of its group. Where there are fewer groups
    than minibatches, so many minibatches. Within a portion, rows keep their order.
    """
    for _ in range(passes):
        groups = rng.permutation(np.unique(batch.group))
        for part in np.array_split(groups, min(minibatches, len(groups))):
            yield np.flatnonzero(np.isin(batch.group, part))
