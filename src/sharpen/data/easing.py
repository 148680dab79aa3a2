"""Weights of answers that ease learning in: what a first look gets right counts from the start, what it gets wrong later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sharpen.core import Sample
from sharpen.data.pairs import by_prompt


def easiness(rank: int, right: bool) -> float:
    """1 / rank of a right answer, 1 - 1 / rank of a wrong one: whether a ranking that puts it there is right."""
    return 1 / rank if right else 1 - 1 / rank


def weight(easy: float, progress: float, until: float) -> float:
    """easy (1 - t) + t, t being the way to the share `until` of the budget, where every answer weighs 1."""
    t = min(progress / until, 1.0) if until else 1.0
    return easy * (1 - t) + t


def eased(
    samples: Sequence[Sample],
    until: float = 0.5,
    hard_first: bool = False,
    *,
    logprobs: Sequence[np.ndarray],
    progress: float,
) -> list[Sample]:
    """The scored samples, each weighed by how right its rank among its prompt's answers is, less so with the budget.

    The rank is by mean log-probability of its tokens under the student, the likeliest first. hard_first: by how wrong it is.
    Source: arXiv 2004.14269, section 3; pointwise, reciprocal rank.
    """
    mean = {id(s): float(lp[s.rollout.sampled].mean()) if s.rollout.n_sampled else 0.0 for s, lp in zip(samples, logprobs)}
    found = []
    for group in by_prompt(samples):
        ranked = sorted(range(len(group)), key=lambda i: -mean[id(group[i])])
        place = {i: rank + 1 for rank, i in enumerate(ranked)}
        for i, s in enumerate(group):
            easy = easiness(place[i], s.verdict.correct)
            share = weight(1 - easy if hard_first else easy, progress, until)
            found.append(replace(s, weight=s.weight * share))
    return found
