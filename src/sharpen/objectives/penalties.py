"""Penalties that hold a policy near another or keep it uncertain, added to any policy-gradient objective.

Three estimators of the KL divergence from one sampled token, with g = log policy - log reference (Schulman 2020,
joschu.net/blog/kl-approx.html). As *values* all three have the mean KL(policy || reference) (k2 to second order). As *losses*
they are differentiated, and what the optimizer follows is something else:

    estimator  value                    its derivative by log policy    mean gradient of the loss
    k1         g                        1                               0: pure noise
    k2         g^2 / 2                  g                               that of KL(policy || reference)
    k3         exp(-g) - 1 + g          1 - exp(-g)                     that of KL(reference || policy)

The means are over tokens that the policy samples. k1 put into the *reward* instead, advantage - b g, is k2 as a loss.
`full_kl` and `entropy` take the whole vocabulary instead of one token: no noise, and the logits of every trained position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sharpen.core import Tableau, UserError, suggest
from sharpen.objectives.tableau import Rows

if TYPE_CHECKING:
    from torch import Tensor

EXPONENT_LIMIT = 20.0  # exp(20) = 5e8: beyond it one token decides the whole step

# --------------------------------------------- extras: Rows -> (R, T), minus the derivative of an estimate by log-probability


def k1(rows: Rows, weight: float) -> Tensor:
    """-weight at every token: no tie at all, kept to show it."""
    import torch

    return torch.full_like(rows.logp, -weight)


def k2(rows: Rows, weight: float) -> Tensor:
    """Half the squared log-ratio."""
    assert rows.reference is not None
    return -weight * (rows.logp - rows.reference)


def k3(rows: Rows, weight: float) -> Tensor:
    """GRPO's penalty (arXiv 2402.03300, equation 4)."""
    import torch

    assert rows.reference is not None
    return weight * torch.expm1((rows.reference - rows.logp).clamp(max=EXPONENT_LIMIT))


ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3}

# ---------------------------------------------------------------------------- penalties: (logits, reference's, tokens) -> (M,)


def full_kl(logits: Tensor, other: Tensor, tokens: Tensor, beta: float = 1.0, towards: bool = False) -> Tensor:
    """beta * KL(policy || reference) of each next-token distribution; `towards`: KL(reference || policy)."""
    p, q = log_probabilities(logits), log_probabilities(other)
    return beta * (divergence(q, p) if towards else divergence(p, q))


def log_probabilities(logits: Tensor) -> Tensor:
    """(M, V) in float32 at least: bfloat16 probabilities do not add up to 1."""
    import torch

    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """(M,) KL(p || q) of log-probabilities, (M, V) each."""
    return (p.exp() * (p - q)).sum(-1)


def negative_entropy(logits: Tensor, other: Tensor | None, tokens: Tensor, bonus: float = 1.0) -> Tensor:
    """-bonus * entropy of each next-token distribution, in nats."""
    p = log_probabilities(logits)
    return bonus * (p.exp() * p).sum(-1)


# --------------------------------------------------------------------------------------------------------------- objectives


def with_kl(base: Callable[[], Tableau], beta: float = 0.04, estimator: str = "k3", reference: str = "start") -> Tableau:
    """An objective with beta times an estimate of the KL divergence in its loss, on each of its tokens; 0: the objective.

    The default is the term of GRPO's equation 3 (arXiv 2402.03300), which is k3, with its beta. Silent groups are pulled too.
    """
    if estimator not in ESTIMATORS:
        raise UserError(f"estimator={estimator!r}:{suggest(estimator, ESTIMATORS)} There are: {', '.join(ESTIMATORS)}.")
    tableau = base()
    if beta == 0:
        return tableau
    return replace(tableau, extra=partial(ESTIMATORS[estimator], weight=beta), reference=reference)


def with_full_kl(base: Callable[[], Tableau], beta: float = 0.04, towards: bool = False, reference: str = "start") -> Tableau:
    """An objective with `full_kl` to the reference on each of its tokens. 0: the objective."""
    tableau = base()
    return replace(tableau, penalty=partial(full_kl, beta=beta, towards=towards), reference=reference) if beta else tableau


def with_entropy(base: Callable[[], Tableau], bonus: float = 0.001) -> Tableau:
    """An objective with a bonus for the entropy of each of its next-token distributions (Williams & Peng 1991). 0: none."""
    tableau = base()
    return replace(tableau, penalty=partial(negative_entropy, bonus=bonus)) if bonus else tableau
