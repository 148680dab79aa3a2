"""Policy-gradient and supervised objectives, each a `Tableau` of exchangeable parts (tableau.py says what the parts mean).

The gradient equals that of the published surrogate. Shapes: B rows (responses) of a batch, R rows of a pass, T tokens.

    objective   advantage            ratio   clip         normaliser
    reinforce   reward - batch mean  1       none         1 / rows
    rloo        leave one out        1       none         1 / rows
    ppo         generalised, whitened  token  0.2, 0.2    1 / tokens
    loop        leave one out        token   0.2, 0.2     1 / rows
    grpo        group-normalised     token   0.2, 0.2     1 / (rows * tokens of the row)
    dr_grpo     group-centred        token   0.2, 0.2     1 / (rows * a constant)
    dapo        group-normalised     token   0.2, 0.28    1 / tokens of the groups that are not silent
    gspo        group-normalised     row     3e-4, 4e-4   1 / (rows * tokens of the row)
    cispo       group-normalised     capped  none         1 / tokens
    nft         group-centred        1, or of the implicit negative policy; none   1 / (rows * a constant)
    sft         1                    1       none         1 / tokens
    redi        1, or -alpha if wrong  1     none         1 / (rows * tokens of the row)
    practice    group-normalised, 1  1       none         1 / tokens of groups, 1 / tokens of responses that are alone

hybrid.py has objectives that learn from worked solutions beside own answers, entropy.py those that steer entropy, off_policy.py
those for rollouts of earlier versions. Each objective is a function of its numbers that returns a `Tableau`, so that a partial
of it prints, compares and pickles.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from sharpen.core import Batch, Tableau
from sharpen.objectives import advantage
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor

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
    import torch

    return torch.ones_like(rows.logp)


def token_ratio(rows: Rows) -> Tensor:
    """Likelihood ratio of each token, policy over sampler; its logarithm is limited to ±LOG_RATIO_LIMIT.

    A forced token was drawn with certainty, its sampling log-probability is 0, so its ratio is its probability.
    """
    return (rows.logp - rows.sampling).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()


def capped_ratio(rows: Rows, low: float, high: float) -> Tensor:
    """`token_ratio`, kept between two bounds: what has gone far keeps its gradient, only no longer a growing one."""
    return token_ratio(rows).clamp(low, high)


def row_ratio(rows: Rows, mean: bool = True) -> Tensor:
    """The geometric mean of a row's token ratios (GSPO's), or their product, at each of its tokens; limited likewise."""
    gap = ((rows.logp - rows.sampling) * rows.mask).sum(dim=1, keepdim=True)
    gap = gap / rows.mask.sum(dim=1, keepdim=True).clamp(min=1.0) if mean else gap
    return gap.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp().expand_as(rows.logp)


def implicit_negative_ratio(rows: Rows, floor: float) -> Tensor:
    """1 on right responses; on wrong ones (1 - p) R / max(1 - p R, floor (1 - p)), R the token ratio, p the group's accuracy.

    It is the gradient of the likelihood of a wrong token under (sampler - p * policy) / (1 - p): what would be left of the
    sampler's mass, were the policy already what it becomes on success (NFT, arXiv 2505.18116). 1 where R is 1.
    """
    import torch

    ratio, p = token_ratio(rows), rows.accuracy.clamp(0.02, 0.98)
    wrong = (1 - p) * ratio / torch.maximum(1 - p * ratio, floor * (1 - p))
    return torch.where(rows.advantage > 0, torch.ones_like(ratio), wrong)


def no_clip(rows: Rows, ratio: Tensor) -> Tensor:
    import torch

    return torch.ones_like(ratio)


def trust_region(rows: Rows, ratio: Tensor, low: float, high: float) -> Tensor:
    """0 where min(ratio A, clip(ratio, 1 - low, 1 + high) A) is flat, else 1: PPO's clip (arXiv 1707.06347, section 3).

    Flat means gone too far in the direction that the advantage asks for: above 1 + high with A > 0, or below 1 - low with
    A < 0. The other sides keep their gradient: there the policy moved against the advantage and must be able to return.
    """
    return within(rows, ratio, 1 - low, 1 + high)


def within(rows: Rows, ratio: Tensor, lowest: Any, highest: Any) -> Tensor:
    """`trust_region` between any two bounds, numbers or (R, T) each."""
    too_far = ((rows.advantage > 0) & (ratio > highest)) | ((rows.advantage < 0) & (ratio < lowest))
    return (~too_far).to(ratio.dtype)


# -------------------------------------------------------------------------------------------------------------- objectives


def reinforce(baseline: bool = True) -> Tableau:
    """REINFORCE (Williams 1992) on whole responses, with the batch's mean reward as baseline, or none."""
    return Tableau(advantage.batch_centred if baseline else advantage.raw, sequence_sum, no_ratio, no_clip)


def rloo() -> Tableau:
    """REINFORCE with the mean of the group's other responses as baseline (arXiv 2402.14740): unbiased at any group size."""
    return Tableau(advantage.leave_one_out, sequence_sum, no_ratio, no_clip)


def loop(clip: float = 0.2, whole: bool = False) -> Tableau:
    """Leave-one-out PPO (LOOP, arXiv 2502.01600): `rloo` for several updates on the same rollouts, each token's ratio clipped.

    whole   one ratio for the whole response, the product of its tokens', which is clipped far more often
    """
    ratio = partial(row_ratio, mean=False) if whole else token_ratio
    return Tableau(advantage.leave_one_out, sequence_sum, ratio, partial(trust_region, low=clip, high=clip))


def ppo(clip: float = 0.2, gamma: float = 1.0, lam: float = 0.95, whiten: bool = True) -> Tableau:
    """PPO (arXiv 1707.06347) with a value head (critic.py): each token its own advantage; gamma, lam as in `generalised`."""
    return Tableau(
        partial(advantage.generalised, gamma=gamma, lam=lam, whiten=whiten),
        token_mean,
        token_ratio,
        partial(trust_region, low=clip, high=clip),
        returns=partial(advantage.returns, gamma=gamma, lam=lam),
    )


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


def grpo_by_turn(clip: float = 0.2) -> Tableau:
    """GRPO with each turn compared with the same turn of the group's other rollouts: for verdicts that credit turns."""
    return replace(grpo(clip_low=clip, clip_high=clip), advantage=advantage.by_turn)


def by_turn_credit(clip: float = 0.2) -> Tableau:
    """GRPO with each turn's credit as its advantage: for verdicts or samples whose credit is compared already."""
    return replace(grpo(clip_low=clip, clip_high=clip), advantage=advantage.credited)


def dr_grpo(length: int, clip: float = 0.2, clip_high: float | None = None) -> Tableau:
    """GRPO "done right" (arXiv 2503.20783): centred only, and token sums divided by a constant, the longest response.

    So a wrong answer is not made cheap by being long, nor a prompt heavy by being nearly always or never solved.
    """
    clipped = partial(trust_region, low=clip, high=clip if clip_high is None else clip_high)
    return Tableau(advantage.centred, partial(constant_length, length=length), token_ratio, clipped)


def dapo(clip_low: float = 0.2, clip_high: float = 0.28, per_token: bool = True, drop_silent: bool = True) -> Tableau:
    """DAPO (arXiv 2503.14476, section 3): GRPO with a higher upper clip, a token-level mean and no silent groups.

    The paper samples on until the batch is full of groups that are not silent; here they leave the normaliser, which gives
    the same gradient on a smaller batch. Its length penalty is `data.soft_overlong`.
    """
    return grpo(clip_low, clip_high, per_token=per_token, drop_silent=drop_silent)


def gspo(clip_low: float = 3e-4, clip_high: float = 4e-4) -> Tableau:
    """GSPO (arXiv 2507.18071): one ratio for a response, the geometric mean of its tokens', in a trust region that narrow."""
    return replace(grpo(clip_low, clip_high), ratio=row_ratio)


def cispo(low: float = 0.0, high: float = 5.0) -> Tableau:
    """CISPO (MiniMax-M1, arXiv 2506.13585): the ratio is a weight, kept between two bounds, and no token loses its gradient."""
    return Tableau(advantage.normalised, token_mean, partial(capped_ratio, low=low, high=high), no_clip)


def nft(length: int, std: bool = False, floor: float = 1.0) -> Tableau:
    """Negative-aware fine-tuning (arXiv 2505.18116): likelihood of right answers, and of wrong ones under a negative policy.

    On policy it is Dr. GRPO, or with `std` GRPO with the population's deviation. floor: see `implicit_negative_ratio`.
    """
    credit = partial(advantage.normalised, eps=0.0) if std else advantage.centred
    ratio = partial(implicit_negative_ratio, floor=floor)
    return Tableau(credit, partial(constant_length, length=length), ratio, no_clip)


def redi(alpha: float = 0.8, per_token: bool = False) -> Tableau:
    """REDI (arXiv 2505.24850): raise right responses, lower wrong ones at a smaller rate; no reference, no comparison."""
    return replace(sft(per_token), advantage=partial(advantage.signed, wrong=alpha))


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
