"""What to train on: functions from judged samples to the samples of the batch.

Every function here leaves out unscorable samples: they have no reward, so they must be gone before a group's mean and
deviation are taken. Order and group numbers are kept, and nothing is changed in place.
"""

from __future__ import annotations

import bisect
import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

from sharpen.core import Sample, UserError

NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


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
    cut = penalty * min(max(sample.rollout.n_sampled - free, 0) / cache, 1.0)
    return paid(sample, -cut, "overlong") if cut else sample


def finished(samples: Sequence[Sample], most: float = 0.0) -> list[Sample]:
    """`keep_all`; an answer that ran out of tokens earns at most `most`, however right what it had said by then. Where that is
    paid, a model learns to run on. Its outcome stays. TULU 3 has -10 beside 10 for a right one (arXiv 2411.15124)."""
    kept = keep_all(samples)
    over = [(s.verdict.reward or 0.0) - most if s.rollout.stop == "length" else 0.0 for s in kept]
    return [paid(s, -more, "cut off") if more > 0 else s for s, more in zip(kept, over, strict=True)]


def paid(sample: Sample, more: float, part: str) -> Sample:
    """The sample with `more` added to its reward and noted as a part of it; its outcome stays."""
    verdict = sample.verdict
    changed = dataclasses.replace(verdict, reward=(verdict.reward or 0.0) + more, parts={**verdict.parts, part: more})
    return dataclasses.replace(sample, verdict=changed)


def higher_reward(a: Sample, b: Sample) -> float:
    """1 where a was judged better than b, 0 where worse, 1/2 where equal."""
    mine, other = a.verdict.reward or 0.0, b.verdict.reward or 0.0
    return 0.5 if mine == other else float(mine > other)


def win_rate(samples: Sequence[Sample], prefers: Callable[[Sample, Sample], float] = higher_reward) -> list[Sample]:
    """`keep_all`, each paid the share of its group's other responses that it wins against: SPO (arXiv 2401.04056).

    prefers   (a, b) -> probability that a is preferred to b; it need be no order: a may beat b, b c, and c a. A response
              that is alone gets 1/2
    """
    kept = keep_all(samples)
    found = []
    for sample in kept:
        others = [s for s in kept if s.group == sample.group and s is not sample]
        won = sum(prefers(sample, s) for s in others) / len(others) if others else 0.5
        found.append(paid(sample, won - (sample.verdict.reward or 0.0), "against judged"))
    return found


def one_pair(samples: Sequence[Sample]) -> list[Sample]:
    """Of each group its first right and its first wrong answer; groups without both are left out."""
    found: list[Sample] = []
    for group in dict.fromkeys(s.group for s in samples):
        scored = [s for s in keep_all(samples) if s.group == group]
        sides = [next((s for s in scored if s.verdict.correct is right), None) for right in (True, False)]
        found += [s for s in sides if s is not None] if all(sides) else []
    return found


def mask_inputs(
    samples: Sequence[Sample],
    share: float = 0.2,
    ramp: float = 0.2,
    *,
    progress: float,
    rng: np.random.Generator,
    mask_token: int,
) -> list[Sample]:
    """Right answers, of which each token is hidden with probability `share` from the model that continues it.

    The question is never hidden, and what is to be predicted does not change. `share` is reached linearly by the share `ramp`
    of the budget. Source: masked thought, arXiv 2403.02178.
    """
    now = share * (min(progress / ramp, 1.0) if ramp else 1.0)
    found = []
    for sample in keep_correct(samples):
        tokens = sample.rollout.tokens
        hidden = (rng.random(len(tokens)) < now) & sample.rollout.sampled
        found.append(dataclasses.replace(sample, inputs=np.where(hidden, mask_token, tokens)) if now else sample)
    return found


def right_beginnings(
    samples: Sequence[Sample], partial: bool = True, *, demos: Sequence[Sample], decode: Callable[[np.ndarray], str]
) -> list[Sample]:
    """Right answers, and of wrong ones the beginning that is known to be right: up to the last number that was reached alike.

    A beginning is known where a right answer to the same task, own or worked, has written the same numbers so far, in order,
    whatever stands between them. The rest is not trained, nor is the end of the answer. `partial=False` is `keep_correct`.
    Source: self-sampled partially-correct solutions, arXiv 2205.14318, whose states are a program's variables.
    """
    right = keep_correct(samples)
    if not partial:
        return right
    known: dict[int, set[tuple[str, ...]]] = {}
    for sample in [*right, *demos]:
        numbers = NUMBER.findall(sample.rollout.response)
        known.setdefault(sample.group, set()).update(tuple(numbers[: i + 1]) for i in range(len(numbers)))
    wrong = (s for s in keep_all(samples) if not s.verdict.correct)
    cut = (_beginning(s, known.get(s.group, set()), decode) for s in wrong)
    return right + [s for s in cut if s is not None]


def _beginning(sample: Sample, known: set[tuple[str, ...]], decode: Callable[[np.ndarray], str]) -> Sample | None:
    """The sample trained up to the token that ends its last known number; None where not even the first is known."""
    places = np.flatnonzero(sample.rollout.sampled)

    def written(n: int) -> tuple[str, ...]:
        text = decode(sample.rollout.tokens[places[:n]])
        # A number may go on with the next token: it has ended where something else follows it.
        return tuple(m.group() for m in NUMBER.finditer(text) if m.end() < len(text))

    numbers = written(len(places))
    reached = max((i + 1 for i in range(len(numbers)) if numbers[: i + 1] in known), default=0)
    if not reached:
        return None
    kept = bisect.bisect_left(range(len(places) + 1), reached, key=lambda n: len(written(n)))
    sampled = np.isin(np.arange(len(sample.rollout.tokens)), places[:kept])
    return dataclasses.replace(sample, rollout=dataclasses.replace(sample.rollout, sampled=sampled))
