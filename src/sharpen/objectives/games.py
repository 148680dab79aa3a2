"""Preference learning without a model: policies over a handful of answers, where every update is exact and its claim a number.

A policy is an (n,) array of probabilities; a preference P is (n, n) with P[y, z] the probability that y is preferred to z, and
P + P.T = 1. Each function is one step, or the list of policies from the first on, of the method with infinite data and exact
inner solutions. What a method promises of a real run can be no better than what it does here.
"""

from __future__ import annotations

import numpy as np

CYCLE = np.array([[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.5]])  # rock, paper, scissors: each beats the next one


def normalised(logits: np.ndarray) -> np.ndarray:
    """The policy with these unnormalised log-probabilities."""
    p = np.exp(logits - logits.max())
    return p / p.sum()


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p || q) in nats; infinite where p has answers that q never gives."""
    on = p > 0
    with np.errstate(divide="ignore"):
        return float((p[on] * (np.log(p[on]) - np.log(q[on]))).sum())


def preference(reward: np.ndarray) -> np.ndarray:
    """Bradley-Terry: y is preferred to z with probability sigma(reward[y] - reward[z])."""
    return 1 / (1 + np.exp(reward[None] - reward[:, None]))


def random_preference(n: int, rng: np.random.Generator, scale: float = 2.0) -> np.ndarray:
    """A preference that need not be transitive: the log-odds of each pair of answers are drawn on their own."""
    odds = rng.normal(size=(n, n)) * scale
    return 1 / (1 + np.exp(odds.T - odds))


def exploitability(prefer: np.ndarray, policy: np.ndarray) -> float:
    """How much better than even the best answer does against the policy; 0 at the minimax winner."""
    return float((prefer @ policy).max() - 0.5)


# ----------------------------------------------------------------------------------------------------- self-play on preferences


def self_play(prefer: np.ndarray, start: np.ndarray, eta: float, steps: int) -> list[np.ndarray]:
    """Exponential weights on win rates against oneself: SPO (arXiv 2401.04056), and DNO's algorithm 1 (arXiv 2404.03715).

    policy <- policy * exp(eta * P(y > policy)). The *average* policy tends to the minimax winner; the last one circles where
    preferences do (`CYCLE`).
    """
    found = [start]
    for _ in range(steps):
        found.append(normalised(np.log(found[-1]) + eta * (prefer @ found[-1])))
    return found


def mirror_prox(prefer: np.ndarray, reference: np.ndarray, beta: float, eta: float, steps: int) -> list[np.ndarray]:
    """Nash-MP (arXiv 2505.19731): two proximal steps from the same policy, the second against the answer of the first.

    Each minimises P(opponent > policy) / beta + KL(policy || reference) + KL(policy || present) / eta. The policies tend to the
    Nash equilibrium of the game regularised by beta * KL to the reference; KL(equilibrium || policy) falls by a factor of
    1 + 2 beta a step or faster, whatever the number of answers.
    """

    def step(present: np.ndarray, opponent: np.ndarray) -> np.ndarray:
        logits = np.log(reference) + np.log(present) / eta - (opponent @ prefer) / beta
        return normalised(logits / (1 + 1 / eta))

    found = [reference]
    for _ in range(steps):
        found.append(step(found[-1], step(found[-1], found[-1])))
    return found


def robust(prefer: np.ndarray, reference: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """SRPO (arXiv 2406.01660): (generator (n,), improver (n, n), its row y the answers that follow on y), exactly.

    The saddle point of P(z > y) - beta KL(improver(. | y) || reference) + beta KL(generator || reference), z the improver's
    answer: improver(z | y) ∝ reference(z) exp(P[z, y] / beta), and the generator avoids what can be improved on.
    """
    weights = reference[None] * np.exp(prefer.T / beta)
    room = beta * np.log(weights.sum(axis=1))  # what the best improver makes of each answer
    return normalised(np.log(reference) - room / beta), weights / weights.sum(axis=1, keepdims=True)


# ----------------------------------------------------------------------------------------------------------- iterated learning


def tilt(reference: np.ndarray, reward: np.ndarray, beta: float) -> np.ndarray:
    """The policy that maximises E[reward] - beta KL(policy || reference), which DPO finds: reference * exp(reward / beta)."""
    return normalised(np.log(reference) + reward / beta)


def accelerated(reference: np.ndarray, reward: np.ndarray, beta: float, alpha: float, steps: int) -> list[np.ndarray]:
    """Iterated DPO with momentum (APO, arXiv 2410.06293): tilt, then go on by alpha of the way from the last tilt."""
    found, learned = [reference], np.log(reference)
    for _ in range(steps):
        before, learned = learned, np.log(found[-1]) + reward / beta
        found.append(normalised(learned + alpha * (learned - before)))
    return found


def spin(data: np.ndarray, policy: np.ndarray, beta: float) -> np.ndarray:
    """SPIN's next iterate (arXiv 2401.01335), solved exactly: policy * (data / policy) ** (1 / beta).

    The error in log-probability is multiplied by 1 - 1 / beta: gone in one step at beta 1, growing below 1/2.
    """
    return normalised(np.log(policy) + (np.log(data) - np.log(policy)) / beta)


# ------------------------------------------------------------------------------------------------ training on one's own output


def curated(policy: np.ndarray, reward: np.ndarray, k: int) -> np.ndarray:
    """Retraining on what a user picks of k own answers, with odds exp(reward) (arXiv 2407.09499); n^(k-1) terms.

    E[exp(reward)] rises by at least (k - 1) / k * Var[exp(reward)] / max exp(reward).
    """
    worth = np.exp(reward - reward.max())
    others, chance = np.zeros(1), np.ones(1)
    for _ in range(k - 1):
        others, chance = np.add.outer(others, worth).ravel(), np.multiply.outer(chance, policy).ravel()
    return policy * np.array([chance @ (k * w / (w + others)) for w in worth])


def best_of(policy: np.ndarray, reward: np.ndarray, n: int) -> np.ndarray:
    """The best of n own answers, which SuperHF imitates (arXiv 2310.16763); equal ones share by their probability.

    Without ties that is policy * n F^(n-1) for small probabilities, F the share of worse answers, and the limit of `curated`
    for rewards scaled to infinity. KL(best || policy) <= log n - (n - 1) / n.
    """
    levels, index = np.unique(reward, return_inverse=True)
    mass = np.bincount(index, policy, len(levels))
    below = np.concatenate([[0.0], np.cumsum(mass)])
    share = (below[1:] ** n - below[:-1] ** n) / np.where(mass > 0, mass, 1.0)
    return policy * share[index]


def neon(real: np.ndarray, synthetic: np.ndarray, w: float) -> np.ndarray:
    """Parameters pushed away from those that training on one's own output leads to: (1 + w) real - w synthetic.

    Neon (arXiv 2510.03597, equation 2). It helps where the sampler errs in the direction in which the model does; -1 is plain
    self-training.
    """
    return (1 + w) * real - w * synthetic
