"""Policy-gradient and supervised objectives, each a `Tableau` of exchangeable parts (tableau.py says what the parts mean).

The gradient equals that of the published surrogate. Shapes: B rows (responses) of a batch, R rows of a pass, T tokens.

    objective   advantage            ratio   clip         normaliser
    reinforce   reward - batch mean  1       none         1 / rows
    rloo        leave one out        1       none         1 / rows
    grpo        group-normalised     token   0.2, 0.2     1 / (rows * tokens of the row)
    dr_grpo     group-centred        token   0.2, 0.2     1 / (rows * a constant)
    dapo        group-normalised     token   0.2, 0.28    1 / tokens of the groups that are not silent
    sft         1                    1       none         1 / tokens
    practice    group-normalised, 1  1       none         1 / tokens of groups, 1 / tokens of responses that are alone

Each objective is a function of its numbers that returns a `Tableau`, so that a partial of it prints, compares and pickles.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from sharpen import advantage
from sharpen.core import Batch, Tableau
from sharpen.tableau import Rows

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


def no_ratio(rows: Rows) -> Tensor:
    """All ones: samples count as drawn from the policy being trained."""
    return torch.ones_like(rows.logp)


def token_ratio(rows: Rows) -> Tensor:
    """Likelihood ratio of each token, policy over sampler; its logarithm is limited to ±LOG_RATIO_LIMIT.

    A forced token was drawn with certainty, its sampling log-probability is 0, so its ratio is its probability.
    """
    return (rows.logp - rows.sampling).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()


def no_clip(rows: Rows, ratio: Tensor) -> Tensor:
    return torch.ones_like(ratio)


def trust_region(rows: Rows, ratio: Tensor, low: float, high: float) -> Tensor:
    """0 where min(ratio A, clip(ratio, 1 - low, 1 + high) A) is flat, else 1: PPO's clip (arXiv 1707.06347, section 3).

    Flat means gone too far in the direction that the advantage asks for: above 1 + high with A > 0, or below 1 - low with
    A < 0. The other sides keep their gradient: there the policy moved against the advantage and must be able to return.
    """
    too_far = ((rows.advantage > 0) & (ratio > 1 + high)) | ((rows.advantage < 0) & (ratio < 1 - low))
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
