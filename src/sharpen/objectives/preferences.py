"""Preference objectives: losses on pairs of responses, each a `Tableau` (tableau.py says what the parts mean).

A pair is a group of two rows (data/pairs.py), the better one with advantage +1, the other with -1. With the margin

    h = score(better) - score(worse)        score = sum over tokens, or mean, of log-probability - the reference's

a loss l(h) has the gradient l'(h) * (score' of the better - score' of the worse): the coefficient of a token is
-l'(h) * advantage, times 1 / tokens of the row where the score is a mean. So an objective is a function h -> -l'(h), its pull:

    objective  loss of a pair                             score, reference    pull
    dpo        -log sigma(b h), smoothed: cDPO            sum, or mean        b (sigma(-b h) - smoothing)
    spin       the same, or max(0, 1 - b h)               sum                 b [b h < 1]
    ipo        (h - 1/(2 b))^2                            mean                1/b - 2 h
    simpo      -log sigma(b h - gamma)                    mean, none          b sigma(gamma - b h)
    exo        KL(sigma(b h) || 1 - smoothing)            sum                 b q (1 - q) (logit(1 - smoothing) - b h)
    dno        cross-entropy to sigma(reward gap)         sum                 b (sigma(gap) - sigma(b h))
    sppo       (s_w - 1/(2 b))^2 + (s_l + 1/(2 b))^2      sum, each its own   1/b - 2 |h of one side|
    orpo       -log sigma(log odds ratio) b + NLL(better) mean, none          see `odds_contrast`
    srpo       (h - 1/(2 b))^2, of two pairs (h - 1/b)^2  sum                 see `improvement`

Every loss is a mean over pairs, times the weight of its rows. A group that is no pair, or whose sides have equal rewards, has
advantage 0: no gradient. `nll` adds the likelihood of the better response, mean over its tokens, to any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sharpen.core import Batch, Tableau, UserError
from sharpen.objectives import advantage
from sharpen.objectives.policy_gradient import no_clip
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor

    Pull = Callable[[Tensor], Tensor]


# ------------------------------------------------------------------------------------------------- advantage and normaliser


def better_or_worse(batch: Batch) -> np.ndarray:
    """(B,) +1 for the row of a pair with the higher reward, -1 for the other, 0 for every row of any other group."""
    reward, index, size = advantage.grouped(batch)
    mean = np.bincount(index, reward, len(size)) / np.maximum(size, 1)
    return np.where((size[index] == 2) & ~advantage.silent(batch), np.sign(reward - mean[index]), 0.0)


def pair_mean(batch: Batch) -> np.ndarray:
    """(B,) 1 / pairs of the batch; groups that are no pair are not counted."""
    pairs = np.count_nonzero(better_or_worse(batch)) / 2
    return np.full(len(batch), 1 / max(pairs, 1.0))


def upper_or_lower(batch: Batch) -> np.ndarray:
    """(B,) +1 for the rows of a group with the higher reward, -1 for the others, 0 where all are equal; groups of any size."""
    reward, index, size = advantage.grouped(batch)
    mean = np.bincount(index, reward, len(size)) / np.maximum(size, 1)
    return np.where(advantage.silent(batch), 0.0, np.sign(reward - mean[index]))


def thirds(batch: Batch) -> np.ndarray:
    """(B,) 3 / groups of the batch, for a loss of three terms: what a pair counts where it becomes three groups."""
    return np.full(len(batch), 3 / max(len(np.unique(batch.group)), 1))


# ----------------------------------------------------------------------------------------------- pulls: margins (R,) -> (R,)


def logistic(h: Tensor, beta: float, smoothing: float = 0.0, gamma: float = 0.0) -> Tensor:
    """-log sigma(b h - gamma), where labels are wrong with probability `smoothing`."""
    import torch

    return beta * (torch.sigmoid(gamma - beta * h) - smoothing)


def squared(h: Tensor, beta: float) -> Tensor:
    """(h - 1/(2 b))^2: stops at a finite margin, however sure the label."""
    return 1 / beta - 2 * h


def hinged(h: Tensor, beta: float) -> Tensor:
    """max(0, 1 - b h)."""
    return beta * (beta * h < 1)


def exact(h: Tensor, beta: float, smoothing: float) -> Tensor:
    """KL(q || p) of two-sided distributions, q = sigma(b h) the policy's, p = 1 - smoothing the label's."""
    import torch

    q = torch.sigmoid(beta * h)
    return beta * q * (1 - q) * (np.log1p(-smoothing) - np.log(smoothing) - beta * h)


# ------------------------------------------------------------------------------------------- ratio and extra: Rows -> (R, T)


def tokens(rows: Rows) -> Tensor:
    """(R,) trained tokens, at least 1."""
    return rows.mask.sum(1).clamp(min=1)


def scores(rows: Rows, per_token: bool) -> Tensor:
    """(R,) log-probability of the response, less the reference's where there is one: summed, or the mean over its tokens."""
    total = (rows.logp if rows.reference is None else rows.logp - rows.reference).sum(1)
    return total / tokens(rows) if per_token else total


def difference(rows: Rows, values: Tensor) -> Tensor:
    """(R,) value of the better row less that of the worse one, of the pair that each row belongs to."""
    size = int(rows.group.max()) + 1 if len(rows.group) else 0
    return values.new_zeros(size).index_add(0, rows.group, rows.advantage[:, 0] * values)[rows.group]


def contrast(rows: Rows, pull: Pull, per_token: bool = False) -> Tensor:
    """The pull at each pair's margin, for each token of its rows."""
    found = pull(difference(rows, scores(rows, per_token)))
    return spread(rows, found / tokens(rows) if per_token else found)


def soft_contrast(rows: Rows, beta: float) -> Tensor:
    """The pull of the cross-entropy between sigma(b h) and sigma(reward gap): the margin is drawn to gap / b."""
    import torch

    h, gap = difference(rows, scores(rows, per_token=False)), difference(rows, rows.reward[:, 0])
    return spread(rows, beta * (torch.sigmoid(gap) - torch.sigmoid(beta * h)))


def target(rows: Rows, beta: float) -> Tensor:
    """Each side alone is drawn to its own target, +1/(2 b) or -1/(2 b)."""
    return spread(rows, 1 / beta - 2 * rows.advantage[:, 0] * scores(rows, per_token=False))


def improvement(rows: Rows, beta: float, alpha: float) -> Tensor:
    """The pull of a pair's margin to 1 / (2 b), (1 - alpha) / 2 times, and of that of two pairs in one group to 1 / b, alpha
    times. There the margin is the sum of the upper scores less that of the lower ones."""
    import torch

    size = torch.bincount(rows.group)[rows.group]
    share = torch.where(size == 4, alpha, (1 - alpha) / 2)
    return spread(rows, 2 * share * (size / (4 * beta) - difference(rows, scores(rows, per_token=False))))


def odds_contrast(rows: Rows, beta: float) -> Tensor:
    """-b log sigma(log odds(better) - log odds(worse)), odds = p / (1 - p) of the mean token probability p = exp(mean logp).

    d log odds / d mean logp = 1 / (1 - p), so a token's coefficient is b sigma(-h) / (1 - p) / tokens.
    """
    import torch

    mean = (rows.logp.sum(1) / tokens(rows)).clamp(max=-1e-6)  # a response of probability 1 has infinite odds
    h = difference(rows, mean - torch.log(-torch.expm1(mean)))
    return spread(rows, beta * torch.sigmoid(-h) / -torch.expm1(mean) / tokens(rows))


def likelihood_of_better(rows: Rows, alpha: float) -> Tensor:
    """alpha / tokens for each token of the better rows: alpha * NLL(better) / |better|."""
    return spread(rows, alpha * (rows.advantage[:, 0] > 0) / tokens(rows))


def spread(rows: Rows, values: Tensor) -> Tensor:
    return values[:, None].expand_as(rows.logp)


# -------------------------------------------------------------------------------------------------------------- objectives


def positive(**numbers: float) -> None:
    """Raise UserError where one of these is not above 0: the loss has no minimum then, or divides by it."""
    for name, value in numbers.items():
        if not value > 0:
            raise UserError(f"{name}={value}: a preference objective needs {name} > 0.")


def paired(ratio: Callable[[Rows], Tensor], reference: str, nll: float = 0.0) -> Tableau:
    """A loss on pairs with this ratio, plus `nll` times the mean NLL of the better response."""
    extra = partial(likelihood_of_better, alpha=nll) if nll else None
    return Tableau(better_or_worse, pair_mean, ratio, no_clip, extra, reference=reference, together=True)


def dpo(
    beta: float = 0.1, smoothing: float = 0.0, nll: float = 0.0, reference: str = "start", per_token: bool = False
) -> Tableau:
    """Direct preference optimisation (arXiv 2305.18290, equation 7).

    smoothing  > 0: conservative DPO (the authors' note of 2023): labels are wrong that often, and the margin has a finite
               optimum, b h = log((1 - smoothing) / smoothing)
    nll        1: iterative RPO (arXiv 2404.19733, equation 1)
    reference  as in `core.Tableau`
    per_token  length-normalised DPO (Tulu 3, arXiv 2411.15124, section 5.1.2): the score is a mean over tokens. On pairs of one
               length L it is DPO with beta / L, so the paper's beta of 5 is mild
    """
    positive(beta=beta)
    pull = partial(logistic, beta=beta, smoothing=smoothing)
    return paired(partial(contrast, pull=pull, per_token=per_token), reference, nll)


def ipo(beta: float = 0.1, reference: str = "start", per_token: bool = True) -> Tableau:
    """Identity preference optimisation (arXiv 2310.12036, equation 17); `beta` is its tau.

    The score is a mean over tokens, as the authors ran it (huggingface.co/docs/trl: paper index); `per_token=False` is the
    formula as printed, with sums.
    """
    positive(beta=beta)
    return paired(partial(contrast, pull=partial(squared, beta=beta), per_token=per_token), reference)


def simpo(beta: float = 2.0, ratio: float = 0.5, nll: float = 0.0) -> Tableau:
    """Simple preference optimisation (arXiv 2405.14734, equation 6): no reference; gamma = `ratio` * `beta`."""
    positive(beta=beta)
    return paired(partial(contrast, pull=partial(logistic, beta=beta, gamma=ratio * beta), per_token=True), "", nll)


def spin(beta: float = 0.1, hinge: bool = False) -> Tableau:
    """Self-play fine-tuning (arXiv 2401.01335, equation 4.7): the opponent and reference is the last iterate that was kept."""
    positive(beta=beta)
    return paired(partial(contrast, pull=partial(hinged if hinge else logistic, beta=beta)), "accepted")


def exo(beta: float = 0.1, smoothing: float = 1e-3, reference: str = "start") -> Tableau:
    """Efficient exact optimisation on pairs (arXiv 2402.00856, equation 16): the reverse of DPO's KL."""
    positive(beta=beta, smoothing=smoothing)
    return paired(partial(contrast, pull=partial(exact, beta=beta, smoothing=smoothing)), reference)


def dno(eta: float = 0.1, soft: bool = False) -> Tableau:
    """Direct Nash optimisation (arXiv 2404.03715): `soft` is its algorithm 1, else its algorithm 2.

    For `soft` rewards are win rates against the policy (`pairs.tournament`); else the margin filter stands for them.
    """
    positive(eta=eta)
    hard = partial(contrast, pull=partial(logistic, beta=eta))
    return paired(partial(soft_contrast, beta=eta) if soft else hard, "accepted")


def sppo(beta: float = 1e-3) -> Tableau:
    """Self-play preference optimisation (arXiv 2405.00675, equation 4.7), win probabilities taken as 1 and 0."""
    positive(beta=beta)
    return paired(partial(target, beta=beta), "accepted")


def orpo(beta: float = 0.1, nll: float = 1.0, reference: str = "") -> Tableau:
    """Odds ratio preference optimisation (arXiv 2403.07691, equation 6); `beta` is its lambda. Reads no reference."""
    positive(beta=beta)
    return paired(partial(odds_contrast, beta=beta), reference, nll)


def srpo(beta: float = 0.1, alpha: float = 0.5) -> Tableau:
    """Self-improving robust preference optimisation (arXiv 2406.01660) on the groups of `pairs.improvements`.

    Its saddle point (`games.robust`) satisfies, for any two answers and P the chance that z is preferred to y, s the log-ratio
    of generator or improver to their reference:

        b (s(z | y) - s(y | y)) = P - 1/2                                                  the improver
        b ((s(z | y) - s(y)) - (s(y | z) - s(z))) = 2 P - 1                                 both

    The loss is the squared error of these on pairs, P taken as 1 for the better one: mean of the two of the first kind times
    1 - `alpha`, plus `alpha` times that of the second, divided by b^2. One network is both, told apart by what it is asked.
    """
    positive(beta=beta)
    if not 0 <= alpha <= 1:
        raise UserError(f"alpha={alpha}: srpo divides its loss between improver and both; alpha is between 0 and 1.")
    ratio = partial(improvement, beta=beta, alpha=alpha)
    return Tableau(upper_or_lower, thirds, ratio, no_clip, reference="start", together=True)


def preflexor(beta: float = 0.1, smoothing: float = 5e-3, switch: float = 0.5, *, progress: float) -> Tableau:
    """PRefLexOR's stages (arXiv 2410.12375): ORPO for the first part of the budget, `switch`, then EXO.

    Numbers are those of its released training notebook. The reference of the second stage is the last round that was kept.
    """
    if progress < switch:
        return orpo(beta, reference="accepted" if switch < 1 else "")
    return exo(beta, smoothing, "accepted")
