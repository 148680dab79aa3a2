"""Steps of a turn as turns of their own, so that a verdict may credit each: for `select`.

A rollout that the student made in one turn becomes one of as many turns as its answer has steps; not a token changes. Then
`Verdict.credit` is per step, and `advantage.by_turn` compares the steps of a group that have the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sharpen.core import Sample, Span
from sharpen.data.lessons import Split
from sharpen.data.selection import keep_all

Decode = Callable[[np.ndarray], str]


def by_steps(samples: Sequence[Sample], split: Split, *, decode: Decode) -> list[Sample]:
    """The samples that could be scored, in turns by step. One with a credit for another number of steps than it has, such as
    one whose text was cut by a stop string, keeps its reward for all of them."""
    return [stepped(s, split, decode) for s in keep_all(samples)]


def stepped(sample: Sample, split: Split, decode: Decode) -> Sample:
    rollout = sample.rollout
    own = [span for span in rollout.spans if not span.author]
    steps = tuple(split(rollout.response))
    if len(own) != 1 or len(sample.verdict.credit) not in (0, len(steps)):
        return replace(sample, verdict=replace(sample.verdict, credit=()))
    (span,) = own
    bounds = boundaries(rollout.tokens[span.start : span.stop], steps, decode)
    edges = [span.start, *(span.start + b for b in bounds), span.stop]
    cut = tuple(replace(span, start=a, stop=b, turn=i) for i, (a, b) in enumerate(zip(edges, edges[1:])) if a < b)
    others = tuple(s for s in rollout.spans if s.author)
    return replace(sample, rollout=replace(rollout, spans=tuple(sorted((*others, *cut), key=_start))))


def boundaries(tokens: np.ndarray, steps: Sequence[str], decode: Decode) -> list[int]:
    """(steps - 1) numbers of the token at which each step but the first begins: a token that two steps share belongs to the
    one that it begins in."""
    starts = np.cumsum([len(step) for step in steps])[:-1]
    ends = [len(decode(tokens[: i + 1])) for i in range(len(tokens))]
    begins = np.array([0, *ends[:-1]])
    return [int(np.searchsorted(begins, start, side="left")) for start in starts]


def selective(samples: Sequence[Sample], split: Split, *, decode: Decode) -> list[Sample]:
    """Steps keep their answer's credit only where their own verdict agrees with it in sign, else they have none: SPARK's
    selective advantage (arXiv 2512.03244, section 4.3). Advantages are centred here: reward less the mean of the group."""
    from sharpen.data.pairs import by_prompt

    found: list[Sample] = []
    for group in by_prompt(samples):
        mean = float(np.mean([s.verdict.reward for s in group]))
        for s in group:
            own = stepped(s, split, decode)
            worth = float(s.verdict.reward or 0.0) - mean
            credit = tuple(worth if (worth >= 0) == (right >= 0.5) else 0.0 for right in own.verdict.credit)
            found.append(replace(own, verdict=replace(own.verdict, credit=credit)))
    return found


def mixed(samples: Sequence[Sample], split: Split, share: float = 0.2, *, decode: Decode) -> list[Sample]:
    """(1 - share) of the answer's reward and `share` of each step's own: SPARK's global step reward (arXiv 2512.03244,
    section 4.3)."""
    found = []
    for s in keep_all(samples):
        own = stepped(s, split, decode)
        reward = float(s.verdict.reward or 0.0)
        credit = tuple((1 - share) * reward + share * step for step in own.verdict.credit)
        found.append(replace(own, verdict=replace(own.verdict, credit=credit)))
    return found


def _start(span: Span) -> int:
    return span.start
