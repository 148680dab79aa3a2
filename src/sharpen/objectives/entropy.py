"""What the entropy of next-token distributions decides: which tokens are trained, what a response earns, how free a policy is.

Two kinds of functions. Data functions, (samples, …) -> samples, which ask the loop for `entropy` (and `logprobs`): for each
sample, in order, a (T,) array in nats, 0 where nothing was sampled. And objectives, whose parts read `Rows.entropy` or put a
differentiable entropy into the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sharpen.core import Batch, Sample, Tableau, UserError
from sharpen.data import keep_all, paid
from sharpen.objectives import advantage, policy_gradient
from sharpen.objectives.tableau import Rows

# --------------------------------------------------------------------------------------- data: which tokens, which responses


def down_sample(
    samples: Sequence[Sample],
    responses: float = 0.5,
    tokens: float = 0.3,
    relax: float = 1.0,
    *,
    entropy: Sequence[np.ndarray],
    progress: float,
) -> list[Sample]:
    """The responses whose advantages vary most, and of those the tokens with the largest |advantage| * entropy: D3S.

    responses, tokens   shares that are kept at first; they rise linearly, to all, by the share `relax` of the budget
    Nothing leaves its group: what is not kept has no trained token, so advantages are those of the whole group.
    Source: arXiv 2509.22115.
    """
    rest = min(progress / relax, 1.0) if relax else 1.0
    held = [(s, h) for s, h in zip(samples, entropy, strict=True) if s.verdict.reward is not None]
    credit = advantage.normalised(comparison([s for s, _ in held]))
    count = round((responses + (1 - responses) * rest) * len(held))
    chosen = most_varied(credit, max(count, min(2, len(held))))
    score = [np.where(s.rollout.sampled, abs(a) * h, -1.0) for (s, h), a in zip(held, credit, strict=True)]
    scores = np.concatenate([score[i][held[i][0].rollout.sampled] for i in chosen] or [np.zeros(0)])
    many = max(round((tokens + (1 - tokens) * rest) * len(scores)), 1)
    least = np.sort(scores)[-many] if many < len(scores) else -1.0  # ties with the last one kept are kept
    everything = [only(s, (score[i] >= least) & s.rollout.sampled) for i, (s, _) in enumerate(held)]
    return [s if i in set(chosen) else only(s, np.zeros_like(s.rollout.sampled)) for i, s in enumerate(everything)]


COOLEST, HOTTEST = 0.2, 2.0


def tempered(
    samples: Sequence[Sample],
    target: float = 0.3,
    rate: float = 0.1,
    then: Callable[[Sequence[Sample]], list[Sample]] = keep_all,
    *,
    temperature: float,
    notes: dict[str, Any],
) -> list[Sample]:
    """What `then` keeps; and the temperature of the next step moves so that the mean entropy of the tokens, as they are drawn,
    goes to `target` nats: AceReason-Nemotron 1.1's rule (arXiv 2506.13284, section on RL).

    The entropy is estimated by the surprise of what was drawn, -log p in the mean over all tokens, which costs nothing.

    temperature  that these samples were drawn at, > 0
    notes        `temperature`, which the loop draws with from the next step on: this one times exp(rate * (target - entropy) /
                 target), the exponent no further from 0 than `rate`, within COOLEST and HOTTEST; `entropy`: what was estimated.
                 UserError unless target > 0
    """
    if target <= 0:
        raise UserError(f"target={target}: this is an entropy in nats, above 0.")
    surprise = [-s.rollout.logprobs[s.rollout.sampled] for s in samples if s.verdict.reward is not None]
    if sum(map(len, surprise)):
        mean = float(np.concatenate(surprise).mean())
        now = temperature * float(np.exp(rate * max((target - mean) / target, -1.0)))
        notes |= {"entropy": mean, "temperature": min(max(now, COOLEST), HOTTEST)}
    return then(samples)


def temperature_for(
    logits: np.ndarray, target: float, lowest: float = COOLEST, highest: float = HOTTEST, near: float = 0.01
) -> float | None:
    """The temperature at which the mean entropy of these next-token logits, (M, V), is `target` nats, to `near`: by bisection,
    for entropy rises with temperature (dH/dT = Var(logit) / T^3). None where no temperature between the two gives it."""

    def mean_entropy(temperature: float) -> float:
        scaled = logits / temperature
        logp = scaled - scaled.max(axis=1, keepdims=True)
        logp = logp - np.log(np.exp(logp).sum(axis=1, keepdims=True))
        return float(-(np.exp(logp) * logp).sum(axis=1).mean())

    if not mean_entropy(lowest) <= target <= mean_entropy(highest):
        return None
    for _ in range(20):
        middle = (lowest + highest) / 2
        reached = mean_entropy(middle)
        if abs(reached - target) <= near:
            return middle
        lowest, highest = (middle, highest) if reached < target else (lowest, middle)
    return middle


def most_varied(values: np.ndarray, count: int) -> list[int]:
    """Indices of the `count` values with the largest variance: so many of the lowest, the rest of the highest; one scan."""
    order = np.argsort(values, kind="stable")
    n = len(order)
    splits = [np.concatenate([order[:low], order[n - (count - low) :]]) for low in range(count + 1)]
    return sorted(int(i) for i in max(splits, key=lambda chosen: values[chosen].var() if len(chosen) else 0.0))


def surprising(
    samples: Sequence[Sample],
    share: float = 0.8,
    weight: float = 0.8,
    *,
    entropy: Sequence[np.ndarray],
    logprobs: Sequence[np.ndarray],
) -> list[Sample]:
    """Of right answers, the share of tokens that surprise most for how open the choice was: -log p - weight * entropy.

    So tokens where the student is unsure are left unsure, and those it knows are not driven to certainty. Source: Light-IF,
    arXiv 2508.03178, Entropy-SFT; 0.8 and 0.8 are its training command's. `share=1` is all tokens.
    """
    right = [(s, -p - weight * h) for s, h, p in zip(samples, entropy, logprobs, strict=True) if s.verdict.correct]
    scores = np.concatenate([d[s.rollout.sampled] for s, d in right] or [np.zeros(0)])
    many = max(int(share * len(scores)), 1)
    least = np.sort(scores)[-many] if len(scores) else 0.0
    return [only(s, s.rollout.sampled & (d >= least)) for s, d in right]


def window_reward(
    samples: Sequence[Sample],
    window: int = 4,
    quantile: float = 0.8,
    strength: float = 0.5,
    *,
    entropy: Sequence[np.ndarray],
) -> list[Sample]:
    """`keep_all`, with rewards that ask for as much exploration as a prompt is hard: ARES (arXiv 2510.08457), AEPO's reward.

    A token is open where the mean entropy of the `window` tokens after it is above the `quantile` of the step. With D, the
    open tokens of a response beyond the prompt's target: easy and right pays less for more than enough, medium and right for
    straying to either side; hard and right is paid for more, wrong answers a little for having searched.
    """
    means, held = opening(samples, entropy, window)
    every = np.concatenate(means or [np.zeros(0)])
    return shaped(held, means, float(np.quantile(every, quantile)) if len(every) else 0.0, (strength,) * 3)[0]


def hierarchical_reward(
    samples: Sequence[Sample],
    window: int = 4,
    quantile: float = 0.8,
    strength: float = 0.5,
    rate: float = 0.05,
    *,
    entropy: Sequence[np.ndarray],
    notes: dict[str, Any],
) -> list[Sample]:
    """`window_reward` with a strength for each bucket of difficulty, which adapts, and with one threshold for the whole run.

    The threshold is the quantile of the first step that has any answer. After a step a bucket's strength rises by `rate` where
    its answers stray from their target by more than the margin on average, and falls where they do not, within 0 and 2
    (`adapted`); it begins at `strength`. Source: the ARES code's hierarchical entropy reward; what it adapts to is our reading.
    """
    means, held = opening(samples, entropy, window)
    every = np.concatenate(means or [np.zeros(0)])
    known = notes.setdefault("aepo", {"strengths": [strength] * 3})
    if len(every):
        known.setdefault("threshold", float(np.quantile(every, quantile)))
    found, strayed = shaped(held, means, known.get("threshold", 0.0), known["strengths"])
    known["strengths"] = adapted(known["strengths"], strayed, rate)
    return found


def adapted(strengths: Sequence[float], strayed: Sequence[float], rate: float) -> list[float]:
    """Each strength after a step whose answers strayed by so many margins on average: up by `rate` times what is beyond one, at
    most once the rate, down likewise. NaN, where a bucket had no answers, changes nothing."""
    moves = [0.0 if np.isnan(far) else rate * float(np.clip(far - 1, -1, 1)) for far in strayed]
    return [min(max(s + move, 0.0), 2.0) for s, move in zip(strengths, moves, strict=True)]


Held = list[tuple[Sample, np.ndarray]]


def opening(samples: Sequence[Sample], entropy: Sequence[np.ndarray], window: int) -> tuple[list[np.ndarray], Held]:
    """For each scored sample the mean entropy of the tokens after each of its own; and these samples."""
    held = [(s, h) for s, h in zip(samples, entropy, strict=True) if s.verdict.reward is not None]
    return [window_means(h[s.rollout.sampled], window) for s, h in held], held


def shaped(
    held: Held, means: Sequence[np.ndarray], threshold: float, strengths: Sequence[float]
) -> tuple[list[Sample], list[float]]:
    """The samples with what their exploration is worth, and for each bucket by how many margins its answers strayed."""
    opened = np.array([int((m > threshold).sum()) for m in means])
    by_group: dict[int, list[int]] = {}
    for i, (s, _) in enumerate(held):
        by_group.setdefault(s.group, []).append(i)
    found: list[Sample] = []
    strayed: list[list[float]] = [[], [], []]
    for members in by_group.values():
        accuracy = float(np.mean([held[i][0].verdict.correct for i in members]))
        bucket = 0 if accuracy >= 2 / 3 else 1 if accuracy >= 1 / 3 else 2
        low, high = opened[members].min(), opened[members].max()
        target = float(low + (0.35, 0.5, 0.65)[bucket] * (high - low))
        for i in members:
            beyond = float(opened[i] - target)
            strayed[bucket].append(abs(beyond) / max(1.0, (0.15, 0.25, 0.35)[bucket] * target))
            term = exploration(beyond, target, bucket, held[i][0].verdict.correct, strengths[bucket])
            found.append(paid(held[i][0], term, "exploration"))
    order = {s.rollout.id: n for n, (s, _) in enumerate(held)}
    far = [float(np.mean(each)) if each else float("nan") for each in strayed]
    return sorted(found, key=lambda s: order[s.rollout.id]), far


def exploration(beyond: float, target: float, bucket: int, right: bool, strength: float) -> float:
    """What AEPO adds for `beyond` open tokens more than the target; bucket 0 is easy, 1 medium, 2 hard."""
    margin = max(1.0, (0.15, 0.25, 0.35)[bucket] * target)
    kappa, heat = (2.0, 3.0, 4.0)[bucket], (2.0, 2.5, 3.0)[bucket]
    cap = strength * (1.0, 1.0, 1.2)[bucket]
    excess = max(beyond - margin, 0.0)
    squashed = 1 / (1 + np.exp(-excess / heat))
    if not right:
        return float(squashed * cap * (0.6, 0.8, 1.0)[bucket])
    if bucket == 2:
        pull = 1 / (1 + np.exp(-(beyond + margin) / heat))
        return float(cap * pull if beyond >= -margin else -0.5 * cap * (1 - pull))
    far = excess if bucket == 0 else max(abs(beyond) - margin, 0.0)
    huber = 0.5 * far**2 if far <= kappa else kappa * (far - 0.5 * kappa)
    return -min(cap, cap * huber / (margin + kappa))


def window_means(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the up to `window` values after each; the last has none after it and gets 0."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    after = np.minimum(np.arange(len(values)) + 1 + window, len(values))
    here = np.arange(len(values)) + 1
    return (sums[after] - sums[np.minimum(here, len(values))]) / np.maximum(after - here, 1)


def only(sample: Sample, tokens: np.ndarray) -> Sample:
    """The sample, of which only these tokens are trained. Log-probabilities stay where they are."""
    return replace(sample, rollout=replace(sample.rollout, sampled=tokens))


def comparison(samples: Sequence[Sample]) -> Batch:
    """A batch without tokens, for what advantages read: rewards and groups."""
    n, empty = len(samples), np.zeros((len(samples), 0))
    reward = np.array([s.verdict.reward for s in samples], dtype=np.float64)
    group = np.array([s.group for s in samples], dtype=np.int64)
    return Batch(empty.astype(np.int64), empty, empty, reward, group, np.ones(n), np.zeros(n, np.int64))


# --------------------------------------------------------------------------------------------------------------- objectives


def targeted(target: float = 0.5, weight: float = 0.01, hardness: float = 0.0) -> Tableau:
    """GRPO that keeps the mean entropy of each response near `target` nats: weight * |mean - target| joins the loss.

    hardness   advantages are multiplied by 1 + hardness * (1 - accuracy of the group): hard prompts weigh more
    """
    credit = partial(advantage.weighed_by_hardness, extra=hardness) if hardness else advantage.normalised
    base = replace(policy_gradient.grpo(), advantage=credit)
    pull = partial(towards, target=target, weight=weight)
    return replace(base, penalty=openness, penalty_weight=pull, entropy=True) if weight else base


def openness(logits: Tensor, other: Tensor | None, tokens: Tensor) -> Tensor:
    """(M,) entropy of each next-token distribution, in nats, differentiable."""
    logp = logits.float().log_softmax(-1)
    return -(logp.exp() * logp).sum(-1)


def towards(rows: Rows, target: float, weight: float) -> Tensor:
    """Factor of each token's entropy: the sign of the gap between its response's mean entropy and the target, times weight."""
    assert rows.entropy is not None
    mean = (rows.entropy * rows.mask).sum(1, keepdim=True) / rows.mask.sum(1, keepdim=True).clamp(min=1.0)
    return (weight * torch.sign(mean - target)).expand_as(rows.mask)


def adaptive(scale: float = 10.0, cap: float = 5.0, weight: float = 0.001) -> Tableau:
    """GRPO with an entropy bonus where entropy is about to be lost: TEA of Light-IF (arXiv 2508.03178).

    A token's bonus is weight * min(scale * softmax over its response of its covariance, cap) * entropy; see `covariance`.
    """
    bonus = partial(where_it_falls, scale=scale, cap=cap, weight=weight)
    return (
        replace(policy_gradient.grpo(), penalty=openness, penalty_weight=bonus, together=True)
        if weight
        else policy_gradient.grpo()
    )


def where_it_falls(rows: Rows, scale: float, cap: float, weight: float) -> Tensor:
    shares = torch.where(rows.mask > 0, covariance(rows), -torch.inf).softmax(dim=1)
    return -weight * (scale * shares.nan_to_num(0.0)).clamp(0.0, cap)


def covariance(rows: Rows) -> Tensor:
    """(advantage - mean) * (log p - mean) at each trained token, the means over the tokens of the row's group.

    Where it is large the update sharpens what is likely already, and entropy falls by it (arXiv 2505.22617).
    """
    same = (rows.group[:, None] == rows.group[None, :]).to(rows.logp.dtype)
    credit = rows.advantage * rows.mask
    count = (same @ rows.mask.sum(1, keepdim=True)).clamp(min=1.0)
    means = (same @ part.sum(1, keepdim=True) / count for part in (credit, rows.logp * rows.mask))
    return (rows.advantage - next(means)) * (rows.logp - next(means)) * rows.mask


def clip_cov(share: float = 0.02, clip: float = 0.2) -> Tableau:
    """Clip-Cov (arXiv 2505.22617): GRPO in which the `share` of a group's tokens of the largest covariance has no gradient."""
    base = policy_gradient.grpo(clip, clip)
    return replace(base, clip=partial(without_the_steepest, share=share, clip=clip), together=True) if share else base


def without_the_steepest(rows: Rows, ratio: Tensor, share: float, clip: float) -> Tensor:
    kept, found = policy_gradient.trust_region(rows, ratio, clip, clip), covariance(rows)
    for group in rows.group.unique():
        at = (rows.group == group)[:, None] & (rows.mask > 0) & (kept > 0)
        many = int(share * int(at.sum()))
        if many:
            kept = kept * ~(at & (found >= found[at].sort().values[-many]) & (found > 0))
    return kept
