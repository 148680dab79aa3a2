"""Learning for a single answer."""

from __future__ import annotations

from dataclasses import dataclass

from sharpen.core.tasks import Message


@dataclass(frozen=True)
class Study:
    """What a model reads into an adapter before it answers: test-time learning. Its weights are what they were, afterwards.

    texts     cut into segments of `segment` tokens, which are one batch: their order says nothing
    examples  (messages, answer): of these the answer alone is learnt
    steps     of AdamW, at rate `lr`, on the mean loss of all tokens
    rank      of the adapter, which lies beside the products that close attention and MLP
    """

    texts: tuple[str, ...] = ()
    examples: tuple[tuple[tuple[Message, ...], str], ...] = ()
    steps: int = 4
    lr: float = 1e-3
    rank: int = 8
    segment: int = 128
