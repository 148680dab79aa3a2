"""What a search tried, as samples: steps with what they are worth, and pairs of siblings. `Rollout.branches` has them.

A step is learnt from behind its parent's end alone: what stands before is shared with its siblings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sharpen.core import Branch, Sample, Span, Verdict
from sharpen.data.selection import keep_all


def step_samples(samples: Sequence[Sample], weight: float = 1.0, whole: bool = True) -> list[Sample]:
    """The samples, and each branch as one more: its reward its value, its group its siblings. A branch that is alone has
    nothing to be compared with, and is left out.

    whole  whether a rollout that has branches is learnt from itself
    """
    kept: list[Sample] = keep_all(samples)
    out: list[Sample] = []
    free = max((s.group for s in kept), default=-1) + 1
    numbers: dict[tuple[str, tuple[int, int]], int] = {}
    for s in kept:
        for place, listed in siblings(s).items():
            if len(listed) > 1:
                number = numbers.setdefault((s.rollout.id, place), free + len(numbers))
                out += [sample_of(s, i, b, b.value, number, weight) for i, b in listed]
    return [*(s for s in kept if whole or not s.rollout.branches), *out]


def sibling_pairs(samples: Sequence[Sample], margin: float = 0.0, soft: bool = True) -> list[Sample]:
    """Under each parent the child of the highest value against that of the lowest, where they differ by more than `margin`.

    Rewards are 1 - a and a, with a = min(visits of the worse / visits of both, 1/2): how likely it is the wrong way round.
    With `soft` false 1 and 0. Source: MCTS-DPO, arXiv 2405.00451, section 3.2 and its release.
    """
    out: list[Sample] = []
    number = 0
    for s in keep_all(samples):
        for listed in siblings(s).values():
            (i, best), (j, worst) = (f(listed, key=lambda item: item[1].value) for f in (max, min))
            if best.value - worst.value <= margin:
                continue
            a = min(worst.visits / max(worst.visits + max(best.visits, 1), 1), 0.5) if soft else 0.0
            out += [sample_of(s, i, best, 1 - a, number, s.weight), sample_of(s, j, worst, a, number, s.weight)]
            number += 1
    return out


def siblings(sample: Sample) -> dict[tuple[int, int], list[tuple[int, Branch]]]:
    """Numbered branches by their parent, and where they leave it."""
    found: dict[tuple[int, int], list[tuple[int, Branch]]] = {}
    for i, branch in enumerate(sample.rollout.branches):
        found.setdefault((branch.parent, branch.start), []).append((i, branch))
    return found


def sample_of(sample: Sample, i: int, branch: Branch, reward: float, group: int, weight: float) -> Sample:
    """A branch as a sample of its own."""
    turn = branch.turn
    own = turn.sampled & (np.arange(len(turn.tokens)) >= branch.start)
    outcome = "correct" if reward == 1 else "wrong"
    rollout = replace(
        sample.rollout,
        tokens=turn.tokens,
        sampled=own,
        logprobs=np.where(own, turn.logprobs, 0).astype(np.float32),
        turns=(turn.all_text,),
        stop=turn.stop,
        id=f"{sample.rollout.id}.b{i:03d}",
        parent=sample.rollout.id,
        spans=(Span(branch.start, len(turn.tokens), "", turn.version),),
        others=(),
        branches=(),
    )
    return Sample(rollout, Verdict(outcome, reward, rule="search"), group, weight)
