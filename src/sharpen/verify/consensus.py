"""Verdicts without a gold answer, from the group itself: majority vote, self-certainty, and B4 on plausible tests.

Functions from samples to samples with new verdicts, for the `select` slot. Order and groups are kept; a rollout that failed on
our side stays as it is. None of this sees an answer, so it may reward a popular mistake: a control with real verdicts belongs
beside.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sharpen.core import Rollout, Sample, Task, UserError, Verdict
from sharpen.verify.consistency import Prediction, abduce
from sharpen.verify.maths import extract, maths

VERSION = "1"
CERTAINTY = "self_certainty"  # the part of a verdict that holds it
TEST = "test "  # parts of a verdict with names that begin so are single tests, 1 where passed


def majority(samples: Sequence[Sample], least: float = 0.0, same: Callable[[str, str], bool] = maths.same) -> list[Sample]:
    """The final answer that most rollouts of a group give is taken for right: self-consistency, arXiv 2203.11171.

    `least` is the share of the group's rollouts that it needs. Two answers with equally many votes, or too few, decide nothing,
    and the group is unscorable. A rollout without an answer is malformed and has no vote, but counts in the share.
    """
    return _by_group(samples, lambda group: _vote(group, [1.0] * len(group), least, same, "majority vote"))


def borda(samples: Sequence[Sample], power: float = 0.5, same: Callable[[str, str], bool] = maths.same) -> list[Sample]:
    """Borda vote by self-certainty: rank r of N votes (N - r + 1)^power for its answer. arXiv 2502.18581, section 4.

    Power 0 is the majority vote, infinity the most certain rollout. The certainty is read from the verdicts (`with_certainty`).
    Equal certainties share the mean of their ranks' votes.
    """

    def ranked(group: list[Sample]) -> list[Sample]:
        certainty = [_certainty(sample) for sample in group]
        votes = []
        for own in certainty:
            above, equal = sum(c > own for c in certainty), certainty.count(own)
            places = [(len(group) - above - i) / len(group) for i in range(equal)]  # of 1: no overflow for large powers
            votes.append(sum(place**power for place in places) / equal)
        return _vote(group, votes, 0.0, same, "Borda vote by self-certainty")

    return _by_group(samples, ranked)


def with_certainty(samples: Sequence[Sample], certainties: Sequence[float]) -> list[Sample]:
    """The samples, with each certainty among the parts of the verdict. Reward and outcome stay."""
    return [
        dataclasses.replace(s, verdict=dataclasses.replace(s.verdict, parts={**s.verdict.parts, CERTAINTY: float(c)}))
        for s, c in zip(samples, certainties, strict=True)
    ]


def self_certainty(logits: np.ndarray, floor: float = -100.0) -> float:
    """Mean over positions of KL(uniform || p): -(1/(n V)) sum_i sum_j log(V p_ij). Source: arXiv 2502.18581, equation 8.

    logits  (n, V), of the n sampled tokens' positions; log-probabilities give the same, since the softmax is taken again.
    floor   least log-probability that counts: an impossible token would make it infinite.
    In nats, at least 0; 0 where every distribution is uniform, or nothing was sampled.
    """
    if not len(logits):
        return 0.0
    values = logits.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    logp = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
    return float(np.mean(-np.maximum(logp, floor).mean(axis=1) - math.log(logits.shape[1])))


def certainties(policy: Any, rollouts: Sequence[Rollout], positions: int = 256) -> list[float]:
    """The policy's self-certainty in each of its rollouts, over the sampled tokens, at temperature 1.

    One forward pass for each rollout; logits are made for `positions` positions at a time, never for a whole batch.
    Raises UserError for a policy that shows no distributions.
    """
    import torch

    model: Any = getattr(policy, "model", None)
    if model is None:
        raise UserError("self-certainty needs a local policy, whose distributions can be read")
    body, head = model.get_decoder(), model.get_output_embeddings()
    found = []
    for rollout in rollouts:
        tokens = torch.from_numpy(rollout.tokens.astype(np.int64))[None].to(head.weight.device)
        sampled = torch.from_numpy(rollout.sampled)[1:]
        total, count = 0.0, int(sampled.sum())
        with torch.no_grad():
            hidden = body(input_ids=tokens).last_hidden_state[0, :-1][sampled]
            for part in hidden.split(positions):
                total += self_certainty(head(part).float().cpu().numpy()) * len(part)
        found.append(total / count if count else 0.0)
    return found


def b4(
    samples: Sequence[Sample],
    prior_right: float = 1e3,
    prior_wrong: float = 1e5,
    passed: Callable[[Sample], Sequence[bool]] | None = None,
) -> list[Sample]:
    """In each group, the programs that B4 selects by tests that may be wrong themselves are taken for right.

    `passed` says which tests a sample passes, the same ones in the same order for a whole group; without it, the verdict's
    parts named "test …" do. Programs that tie for the highest score are all right. A group without tests is unscorable.
    Priors: `b4_scores`; the paper's for real runs are 1e3 and 1e4 to 1e6.
    """
    read = passed or _tests

    def selected(group: list[Sample]) -> list[Sample]:
        rows = [tuple(bool(p) for p in read(sample)) for sample in group]
        if len({len(row) for row in rows}) != 1:
            raise ValueError("the programs of one group have run different tests")
        if not rows[0]:
            return [_ruled(sample, None, "B4", {}) for sample in group]
        scores = b4_scores(np.array(rows), prior_right, prior_wrong)
        return [_ruled(sample, score == scores.max(), "B4", {"b4": float(score)}) for sample, score in zip(group, scores)]

    return _by_group(samples, selected)


def b4_scores(passed: np.ndarray, prior_right: float = 10.0, prior_wrong: float = 10.0) -> np.ndarray:
    """(N,) log posterior, up to a constant, of "just the programs that pass what this one passes, and these tests, are right".

    passed       (N, M) bool: program i passes test j
    prior_right  a_xy: the larger, the more programs and tests are expected to be right
    prior_wrong  b_0: the larger, the more rarely wrong programs are expected to pass wrong tests
    Programs with the same row have the same score. Source: B4, arXiv 2409.08692, equation 12, and its repository ZJU-CTAG/B4;
    the defaults are its simulation's.
    """
    found: dict[bytes, float] = {}
    scores = []
    for row in passed.astype(bool):
        key = row.tobytes()
        if key not in found:
            same = (passed.astype(bool) == row).all(axis=1)
            on_right, on_wrong = passed[~same][:, row], passed[~same][:, ~row]
            found[key] = (
                _log_beta(row, prior_right)
                + _log_beta(same, prior_right)
                + _log_beta(on_right)
                + _log_beta(on_wrong, 1, prior_wrong)
            )
        scores.append(found[key])
    return np.array(scores)


def _log_beta(ones: np.ndarray, a: float = 1.0, b: float = 1.0) -> float:
    """log B(number of ones + a, number of zeros + b)."""
    x, y = float(ones.sum()) + a, float(ones.size - ones.sum()) + b
    return math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y)


def _tests(sample: Sample) -> list[bool]:
    parts = sample.verdict.parts
    return [parts[name] >= 1 for name in sorted(parts) if name.startswith(TEST)]


def _certainty(sample: Sample) -> float:
    if CERTAINTY not in sample.verdict.parts:
        raise UserError(f"the verdicts have no part {CERTAINTY!r}; consensus.with_certainty puts it there")
    return sample.verdict.parts[CERTAINTY]


def consistent(
    samples: Sequence[Sample], steps: Callable[[Task, str], Sequence[str]], delta: float = 0.0, least: float = 0.0
) -> list[Sample]:
    """In each group, answers that say what a set of statements says of which as few as `delta` of the pairs contradict each
    other are taken for right: consistency-based abduction (arXiv 2505.19361) among the steps of a group's own answers.

    Statements are (place, step); two contradict where they say different things of the same place. Where several sets cover as
    many places, that with the steps that more answers gave is believed.
    least  share of an answer's steps that must be among the believed ones
    """

    def judged(group: list[Sample]) -> list[Sample]:
        said = [tuple(map(str.strip, steps(s.rollout.task, s.rollout.response))) for s in group]
        counts: dict[tuple[int, str], int] = {}
        for row in said:
            for place, step in enumerate(row):
                counts[place, step] = counts.get((place, step), 0) + 1
        listed = sorted(counts, key=lambda key: (-counts[key], key))
        predictions = [Prediction(str(counts[key]), key[0], key[1]) for key in listed]
        kept = {listed[i] for i in abduce(predictions, _contradict, delta)}
        worth = [sum((i, step) in kept for i, step in enumerate(row)) / max(len(row), 1) for row in said]
        right = [bool(row) and w >= max(least, max(worth)) for row, w in zip(said, worth)]
        return [_ruled(s, yes, "consistent", {"consistent": w}) for s, yes, w in zip(group, right, worth)]

    return [sample for sample in _by_group(samples, judged) if sample.verdict.reward is not None]


def _contradict(a: Prediction, b: Prediction) -> bool:
    return a.item == b.item and a.label != b.label


def _by_group(samples: Sequence[Sample], judge: Callable[[list[Sample]], list[Sample]]) -> list[Sample]:
    """The samples in their order, judged group by group; failed rollouts are passed over."""
    groups: dict[int, list[int]] = {}
    for i, sample in enumerate(samples):
        if sample.rollout.stop != "failed":
            groups.setdefault(sample.group, []).append(i)
    judged = list(samples)
    for indices in groups.values():
        for i, sample in zip(indices, judge([samples[i] for i in indices]), strict=True):
            judged[i] = sample
    return judged


def _vote(
    group: list[Sample], votes: Sequence[float], least: float, same: Callable[[str, str], bool], rule: str
) -> list[Sample]:
    """The group judged by the answer with most votes."""
    answers = [extract(sample.rollout.response)[0] for sample in group]
    stands_for: list[int] = []  # for each rollout, the first with the same answer; itself where there is none
    for i, answer in enumerate(answers):
        stands_for.append(next((j for j in range(i) if stands_for[j] == j and answers[j] and same(answer, answers[j])), i))
    total: dict[int, float] = {}
    for i, vote in enumerate(votes):
        if answers[i]:
            total[stands_for[i]] = total.get(stands_for[i], 0.0) + vote
    most = max(total.values(), default=0.0)
    winners = [i for i, count in total.items() if math.isclose(count, most, rel_tol=1e-12)]
    decided = len(winners) == 1 and most >= least * sum(votes)
    judged = []
    for i, sample in enumerate(group):
        share = {"votes": total.get(stands_for[i], 0.0) / sum(votes)}
        if not answers[i]:
            verdict = Verdict("malformed", 0.0, share, "There is no answer.", rule, VERSION)
            judged.append(dataclasses.replace(sample, verdict=verdict))
        else:
            judged.append(_ruled(sample, stands_for[i] in winners if decided else None, rule, share))
    return judged


def _ruled(sample: Sample, right: bool | None, rule: str, parts: dict[str, float]) -> Sample:
    """The sample with a new verdict; None is undecided. Parts of the old verdict stay."""
    parts = {**sample.verdict.parts, **parts}
    if right is None:
        verdict = Verdict("unscorable", None, parts, "the group decides nothing", rule, VERSION)
    else:
        verdict = Verdict("correct" if right else "wrong", float(right), parts, rule=rule, version=VERSION)
    return dataclasses.replace(sample, verdict=verdict)
