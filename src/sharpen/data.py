"""What to train on: functions from judged samples to the samples of the batch.

Every function here leaves out unscorable samples: they have no reward, so they must be gone before a group's mean and
deviation are taken. Order and group numbers are kept, and nothing is changed in place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from sharpen.core import Sample, UserError


def keep_all(samples: Sequence[Sample]) -> list[Sample]:
    """Every sample that could be scored: what a policy gradient needs, since wrong answers teach too."""
    return [sample for sample in samples if sample.verdict.outcome != "unscorable"]


def keep_correct(samples: Sequence[Sample], distinct: bool = False) -> list[Sample]:
    """Correct samples only: rejection sampling (RFT, arXiv 2308.01825, section 3.3). May be empty.

    `distinct` keeps the first of each different response, blind to spacing, among the samples of one task: a response that
    is sampled often would otherwise count that often. (The paper compares the lists of equations.)
    """
    kept: dict[tuple, Sample] = {}
    for i, sample in enumerate(samples):
        if sample.verdict.correct:
            said = tuple("".join(turn.split()) for turn in sample.rollout.turns)
            kept.setdefault((sample.rollout.task.id, said) if distinct else (i,), sample)
    return list(kept.values())


def gate(
    samples: Sequence[Sample],
    low: float = 0.0,
    high: float = 1.0,
    then: Callable[[Sequence[Sample]], list[Sample]] = keep_all,
) -> list[Sample]:
    """What `then` keeps of the groups whose share of correct answers lies between `low` and `high`, and whose rewards differ.

    With the defaults only silent groups go: DAPO's dynamic sampling (arXiv 2503.14476, section 3.2). A narrower band is online
    difficulty filtering (arXiv 2504.03380). Both ask for new prompts in place of those: see `refills` of the recipe. A group of
    one is silent always. Raises UserError unless 0 <= low <= high <= 1.
    """
    if not 0 <= low <= high <= 1:
        raise UserError(f"gate needs 0 <= low <= high <= 1, got low={low}, high={high}")
    groups: dict[int, list[Sample]] = {}
    for sample in keep_all(samples):
        groups.setdefault(sample.group, []).append(sample)
    passed = {
        number
        for number, group in groups.items()
        if low <= sum(s.verdict.correct for s in group) / len(group) <= high and len({s.verdict.reward for s in group}) > 1
    }
    return then([s for s in samples if s.group in passed])


def soft_overlong(samples: Sequence[Sample], limit: int, cache: float = 0.2, penalty: float = 0.5) -> list[Sample]:
    """`keep_all`, with responses that come near the length limit paid less: DAPO (arXiv 2503.14476, section 3.4).

    Up to (1 - cache) * limit sampled tokens the reward is as judged; from there it falls linearly, at `limit` by `penalty`,
    beyond it no further. It may become negative. Verdicts keep their outcome, so accuracy is blind to this. The paper's
    figures: limit 20,480, cache 4,096 (a fifth), penalty 1 with rewards of 1 and -1 (half as much with rewards of 1 and 0).
    Raises UserError unless limit >= 1 and 0 < cache <= 1.
    """
    if limit < 1 or not 0 < cache <= 1:
        raise UserError(f"soft_overlong needs limit >= 1 and 0 < cache <= 1, got limit={limit}, cache={cache}")
    return [_penalised(sample, limit * (1 - cache), limit * cache, penalty) for sample in keep_all(samples)]


def _penalised(sample: Sample, free: float, cache: float, penalty: float) -> Sample:
    verdict = sample.verdict
    cut = penalty * min(max(sample.rollout.n_sampled - free, 0) / cache, 1.0)
    if not cut or verdict.reward is None:
        return sample
    parts = {**verdict.parts, "overlong": -cut}
    return dataclasses.replace(sample, verdict=dataclasses.replace(verdict, reward=verdict.reward - cut, parts=parts))
