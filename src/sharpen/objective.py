"""Training objectives as tableaux: exchangeable parts that give each sampled token a coefficient.

The trainer minimises `-(coefficients(…) * logp).sum()`; the gradient equals that of the published surrogate. Shapes: B rows
(responses) of a batch, R rows asked for, T tokens, padded on the right.

    objective   advantage            ratio   clip         normaliser
    reinforce   reward - batch mean  1       none         1 / rows
    rloo        leave one out        1       none         1 / rows
    grpo        group-normalised     token   0.2, 0.2     1 / (rows * tokens of the row)
    dr_grpo     group-centred        token   0.2, 0.2     1 / (rows * a constant)
    dapo        group-normalised     token   0.2, 0.28    1 / tokens of the groups that are not silent
    sft         1                    1       none         1 / tokens
    practice    group-normalised, 1  1       none         1 / tokens of groups, 1 / tokens of responses that are alone

Each objective is a function of its numbers that returns a `Tableau`, so that a partial of it prints, compares and pickles.
Not here: terms that are not a weighted log-probability (entropy bonus, KL over the vocabulary, value loss).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from sharpen import advantage
from sharpen.core import Batch, Tableau

LOG_RATIO_LIMIT = 20.0  # exp(20) = 5e8: beyond it a float32 ratio overflows and one token decides the whole step

# ---------------------------------------------------------------------------------------------- normalisers: Batch -> (B,)


def _counted(batch: Batch, drop_silent: bool) -> np.ndarray:
    return ~advantage.silent(batch) if drop_silent else np.ones(len(batch), dtype=bool)


def token_mean(batch: Batch, drop_silent: bool = False) -> np.ndarray:
    """1 / trained tokens of the batch: every token weighs the same, so long responses weigh more.

    With `drop_silent` the tokens of silent groups are not counted, as if those groups had never been sampled; rows of
    silent groups get 0.
    """
    rows = _counted(batch, drop_silent)
    return rows / max(float(batch.mask[rows].sum()), 1.0)


def two_token_means(batch: Batch) -> np.ndarray:
    """`token_mean` among responses that are alone in their group, and among the others: neither waters the other down."""
    alone, tokens = advantage.alone(batch), batch.mask.sum(axis=1, dtype=np.float64)
    return np.where(alone, 1 / max(tokens[alone].sum(), 1.0), 1 / max(tokens[~alone].sum(), 1.0))


def sequence_mean(batch: Batch, drop_silent: bool = False) -> np.ndarray:
    """1 / (rows * trained tokens of the row): mean over tokens, then over responses. `drop_silent` as in `token_mean`."""
    rows = _counted(batch, drop_silent)
    return rows / (max(int(rows.sum()), 1) * np.maximum(batch.mask.sum(axis=1, dtype=np.float64), 1.0))


def sequence_sum(batch: Batch) -> np.ndarray:
    """1 / rows: the whole response is one action, its log-probability the sum over its tokens."""
    return np.full(len(batch), 1.0 / max(len(batch), 1))


def constant_length(batch: Batch, length: int) -> np.ndarray:
    """1 / (rows * length) with the same `length` for every row."""
    return sequence_sum(batch) / length


# --------------------------------------------------------------------------------------------------------- ratio and clip


def no_ratio(logp: Tensor, sampling: Tensor, mask: Tensor) -> Tensor:
    """All ones: samples count as drawn from the policy being trained."""
    return torch.ones_like(logp)


def token_ratio(logp: Tensor, sampling: Tensor, mask: Tensor) -> Tensor:
    """Likelihood ratio of each token, policy over sampler; its logarithm is limited to ±LOG_RATIO_LIMIT.

    A forced token was drawn with certainty, its sampling log-probability is 0, so its ratio is its probability.
    """
    return (logp - sampling).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()


def no_clip(ratio: Tensor, advantage: Tensor) -> Tensor:
    return torch.ones_like(ratio)


def trust_region(ratio: Tensor, advantage: Tensor, low: float, high: float) -> Tensor:
    """0 where min(ratio A, clip(ratio, 1 - low, 1 + high) A) is flat, else 1: PPO's clip (arXiv 1707.06347, section 3).

    Flat means gone too far in the direction that the advantage asks for: above 1 + high with A > 0, or below 1 - low with
    A < 0. The other sides keep their gradient: there the policy moved against the advantage and must be able to return.
    """
    too_far = ((advantage > 0) & (ratio > 1 + high)) | ((advantage < 0) & (ratio < 1 - low))
    return (~too_far).to(ratio.dtype)


# -------------------------------------------------------------------------------------------------------------- objectives


def reinforce(baseline: bool = True) -> Tableau:
    """REINFORCE (Williams 1992) on whole responses, with the batch's mean reward as baseline, or none."""
    return Tableau(advantage.batch_centred if baseline else advantage.raw, sequence_sum, no_ratio, no_clip)


def rloo() -> Tableau:
    """REINFORCE with the mean of the group's other responses as baseline (arXiv 2402.14740): unbiased at any group size."""
    return Tableau(advantage.leave_one_out, sequence_sum, no_ratio, no_clip)


def grpo(
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    std: bool = True,
    unbiased: bool = False,
    per_token: bool = False,
    drop_silent: bool = False,
) -> Tableau:
    """Group relative policy optimisation (DeepSeekMath, arXiv 2402.03300, equation 3), without its KL penalty.

    clip_low, clip_high  half-widths of the trust region on the token ratio
    std                  divide by the group's standard deviation; False only centres
    unbiased             which deviation, see `advantage.normalised`
    per_token            mean over all tokens of the batch, instead of over tokens and then over responses
    drop_silent          leave silent groups out of the normaliser's count
    """
    credit = partial(advantage.normalised, unbiased=unbiased) if std else advantage.centred
    normaliser = partial(token_mean if per_token else sequence_mean, drop_silent=drop_silent)
    return Tableau(credit, normaliser, token_ratio, partial(trust_region, low=clip_low, high=clip_high))


def dr_grpo(length: int, clip: float = 0.2) -> Tableau:
    """GRPO "done right" (arXiv 2503.20783): centred only, and token sums divided by a constant, the longest response.

    So a wrong answer is not made cheap by being long, nor a prompt heavy by being nearly always or never solved.
    """
    clipped = partial(trust_region, low=clip, high=clip)
    return Tableau(advantage.centred, partial(constant_length, length=length), token_ratio, clipped)


def dapo(clip_low: float = 0.2, clip_high: float = 0.28, per_token: bool = True, drop_silent: bool = True) -> Tableau:
    """DAPO (arXiv 2503.14476, section 3): GRPO with a higher upper clip, a token-level mean and no silent groups.

    The paper samples on until the batch is full of groups that are not silent; here they leave the normaliser, which gives
    the same gradient on a smaller batch. Its length penalty is `data.soft_overlong`.
    """
    return grpo(clip_low, clip_high, per_token=per_token, drop_silent=drop_silent)


def sft(per_token: bool = True) -> Tableau:
    """Maximum likelihood of the responses in the batch, each times its weight; rewards are not read.

    The mean is over tokens, or with `per_token=False` over the tokens of a response and then over responses.
    """
    return Tableau(advantage.ones, token_mean if per_token else sequence_mean, no_ratio, no_clip)


def practice() -> Tableau:
    """Groups are compared as in GRPO, a response alone in its group is imitated as in SFT: the sum of two token means.

    For batches that the policy has just sampled, plus replayed successes: the likelihood ratio of the former is 1 on the
    first and only pass, and the latter, written by another policy, are maximum likelihood, which has no ratio.
    """
    return Tableau(advantage.normalised_or_raw, two_token_means, no_ratio, no_clip)


# ------------------------------------------------------------------------------------------------------------ coefficients


def _scales(tableau: Tableau, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Advantage and normaliser * weight of every row, (B,) float64 each, after checking that they can be trusted."""
    advantage.require_finite("reward", batch.reward)
    advantage.require_finite("weight", batch.weight)
    credit = np.asarray(tableau.advantage(batch), dtype=np.float64)
    scale = np.asarray(tableau.normaliser(batch), dtype=np.float64) * np.asarray(batch.weight, dtype=np.float64)
    advantage.require_finite("advantage", credit)
    advantage.require_finite("normaliser", scale)
    return credit, scale


def active(tableau: Tableau, batch: Batch) -> np.ndarray:
    """(B,) bool: rows that can carry a gradient. The others need neither a forward nor a backward pass."""
    credit, scale = _scales(tableau, batch)
    return (credit * scale != 0) & (batch.mask != 0).any(axis=1)


def coefficients(tableau: Tableau, batch: Batch, logp: Tensor, rows: slice | np.ndarray = slice(None)) -> Tensor:
    """Coefficients of the log-probabilities, (R, T) as `logp`, without gradient; the loss is -(coefficients * logp).sum().

    c[b, t] = advantage[b] * clip[b, t] * ratio[b, t] * normaliser[b] * weight[b] * mask[b, t]

    logp   (R, T') log-probabilities of the rows asked for under the policy being trained. T' may be smaller than the
           batch's T where nothing beyond it is trained.
    rows   a slice, indices or a bool mask. Advantage and normaliser always come from the whole batch, so a batch taken in
           slices adds up to the same gradient as the batch at once.

    A row without trained tokens, or of a silent group, gets zeros. Raises ValueError where a reward, weight, or
    log-probability of a trained token is not finite, naming the batch's rows, and where the shapes do not fit.
    """
    credit, scale = _scales(tableau, batch)
    number = np.arange(len(batch))[rows]
    width = logp.shape[1]
    trained = batch.mask[rows]
    if len(number) != len(logp) or trained[:, width:].any():
        raise ValueError(f"logp of shape {tuple(logp.shape)} does not cover the trained tokens of {trained.shape} rows")
    dtype = torch.promote_types(logp.dtype, torch.float32)  # a bf16 ratio is off by up to 0.4 %

    def tensor(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=logp.device)

    mask = tensor(trained[:, :width])
    # Untrained positions may hold anything, infinities too, and 0 * inf is NaN: blank them before any arithmetic.
    new = torch.where(mask != 0, logp.detach().to(dtype), 0.0)
    old = torch.where(mask != 0, tensor(batch.sampling[rows][:, :width]), 0.0)
    for name, values in (("log-probability", new), ("sampling log-probability", old)):
        bad = ~torch.isfinite(values).all(dim=1).cpu().numpy()
        if bad.any():
            raise ValueError(f"{name} of a trained token is not finite in rows {', '.join(map(str, number[bad][:8]))}")
    ratio = tableau.ratio(new, old, mask)
    column = tensor(credit[rows])[:, None]  # (R, 1)
    return column * tableau.clip(ratio, column) * ratio * tensor(scale[rows])[:, None] * mask


def example(
    tableau: Tableau, groups: Sequence[Sequence[float]], lengths: Sequence[int] | None = None, ratio: float = 1.0
) -> np.ndarray:
    """Coefficients, (B, T), on responses with these rewards: for checks and for looking at an objective by hand.

    groups   the rewards of each group, e.g. [[1, 0], [1, 1]]
    lengths  tokens of each response, two by default
    ratio    likelihood ratio of every token

    >>> example(rloo(), [[1, 0]])[:, 0]
    array([ 0.5, -0.5])
    """
    reward = np.array([r for group in groups for r in group], dtype=np.float64)
    length = np.array(lengths if lengths is not None else [2] * len(reward))
    mask = (np.arange(length.max(initial=0)) < length[:, None]).astype(np.float64)
    sampling = np.full(mask.shape, -1.0)
    batch = Batch(
        tokens=np.zeros(mask.shape, dtype=np.int64),
        mask=mask,
        sampling=sampling,
        reward=reward,
        group=np.repeat(np.arange(len(groups)), [len(group) for group in groups]),
        weight=np.ones(len(reward)),
        lengths=length,
    )
    return coefficients(tableau, batch, torch.as_tensor(sampling + np.log(ratio))).numpy()
