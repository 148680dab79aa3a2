"""Verdicts dealt anew within each group: a control that keeps everything of the rewards but whose they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sharpen.core import Sample, Verdict

RULE = "shuffled"  # what such a verdict says decided it


def shuffled(samples: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
    """The samples, in order, each with the verdict of a member of its group, every permutation equally likely.

    So a group's rewards are the same ones, and on average they have nothing to do with the answers: the expected covariance
    with any property of these is 0. What a curriculum is told of a group does not change. What was unscorable stays so. A
    verdict that credits turns, dealt to an answer with another number of them, credits each with the reward.
    """
    groups: dict[int, list[int]] = {}
    for i, sample in enumerate(samples):
        if sample.verdict.reward is not None:
            groups.setdefault(sample.group, []).append(i)
    found = list(samples)
    for members in groups.values():
        for i, j in zip(members, rng.permutation(members), strict=True):
            found[i] = replace(samples[i], verdict=dealt(samples[i].verdict, samples[int(j)].verdict))
    return found


def dealt(own: Verdict, other: Verdict) -> Verdict:
    credit = other.credit
    if len(credit) != len(own.credit):
        credit = tuple(float(other.reward or 0.0) for _ in own.credit)
    return replace(other, rule=RULE, credit=credit)
