"""How many rollouts each task gets: the same total, spread where it teaches most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, UserError
from sharpen.curriculum.attempts import Attempts
from sharpen.curriculum.common import History, allot, dealt, lowest, weighted


def value(n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """What n rollouts of a task with success rate p are worth (Knapsack RL, arXiv 2509.25849): the chance of a mixed group
    times the expected gain of one gradient step, (1 - p^n - (1 - p)^n) * p (1 - p)^2. It is concave in n."""
    return (1 - p**n - (1 - p) ** n) * p * (1 - p) ** 2


def greedy(p: np.ndarray, total: int, low: int, high: int) -> np.ndarray:
    """(M,) rollouts, `low` to `high` each, of the largest summed value; less than `total` where `high` does not allow more.

    One more rollout at a time where it adds most: optimal, because each further one adds less.
    """
    steps = np.arange(low, high)
    gain = value(steps[None] + 1, p[:, None]) - value(steps[None], p[:, None])  # (M, high - low), falling along rows
    n = min(total - low * len(p), gain.size)
    best = np.argsort(-gain.ravel(), kind="stable")[:n]
    return low + np.bincount(best // max(len(steps), 1), minlength=len(p))


def exact(p: np.ndarray, total: int, low: int, high: int) -> np.ndarray:
    """The same by dynamic programming over tasks and budgets, as in the paper: O(M * total * high). For comparison."""
    free = min(total - low * len(p), (high - low) * len(p))
    best = np.full(free + 1, -np.inf)
    best[0] = 0.0
    took = []
    for rate in p:
        worth = value(np.arange(low, high + 1), np.full(high - low + 1, rate))
        options = np.full((high - low + 1, free + 1), -np.inf)
        for extra in range(min(high - low, free) + 1):
            options[extra, extra:] = best[: free + 1 - extra] + worth[extra]
        took.append(options.argmax(axis=0))
        best = options.max(axis=0)
    left, given = free, []
    for choice in reversed(took):
        given.append(low + int(choice[left]))
        left -= int(choice[left])
    return np.array(given[::-1])


def knapsack(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    low: int = 2,
    high: int = 128,
    *,
    attempts: Attempts,
) -> Choices:
    """Knapsack RL (arXiv 2509.25849): tasks as in `epochs`, the step's rollouts where they are worth most.

    p is the success rate when the task was last tried. Where it is unknown (the first epoch), the task gets `samples`; where
    it was 1, `low`; where it was 0, `low` and what the others cannot use; the others share the rest by `value`.
    """
    if not 1 <= low <= high:
        raise UserError(f"knapsack needs 1 <= low <= high, got {low}, {high}")
    numbers = lowest(attempts.visits + rng.random(len(attempts)), prompts)
    quota = knapsack_quota(attempts.latest[numbers].astype(float), prompts * samples, samples, low, high)
    return [(attempts.draw(int(number)), int(n)) for number, n in zip(numbers, quota, strict=True)]


def knapsack_quota(p: np.ndarray, total: int, samples: int, low: int, high: int) -> np.ndarray:
    """(M,) rollouts of sum `total` for tasks with success rates p, NaN where unknown."""
    low = min(low, samples)
    quota = np.where(np.isnan(p), samples, low)
    mixed, never = (p > 0) & (p < 1), p == 0
    if mixed.any():
        quota[mixed] = greedy(p[mixed], int(total - quota[~mixed].sum()), low, high)
    rest = never if never.any() else mixed if mixed.any() else np.ones(len(p), bool)
    quota[rest] += allot(np.ones(int(rest.sum())), int(total - quota.sum()), 0)
    return quota


def undecided(right: np.ndarray, tried: np.ndarray, prior: np.ndarray, total: int, most: int) -> np.ndarray:
    """(M,) further rollouts of sum `total` for groups of `tried` answers, so many `right`: where one more may mix them.

    prior  (M, 2) the Beta parameters of each task before it was tried: those of its arm
    most   further rollouts of a silent group, at most; where this does not use up the total, the mixed ones share the rest

    A group that has both kinds teaches already, and gets nothing while another can come to do so. The k-th further rollout of
    a silent group is the first of the other kind with chance (1 - q)^(k - 1) q, with q from the posterior mean p, and
    worth p (1 - p)^2 then, as in `value`: an arm that is nearly always right, or nearly never, is left. Of 200 tasks of
    three arms (0.02, 0.3, 0.95) with 4 rollouts each, 2 of them early, mixed groups are worth 26 to 41 % more so.
    """
    p = (prior[:, 0] + right) / (prior.sum(axis=1) + tried)
    mixed = (right > 0) & (right < tried)
    other = np.where(right > 0, 1 - p, p)[:, None]
    gain = np.where(mixed[:, None], 0.0, (1 - other) ** np.arange(most) * other * (p * (1 - p) ** 2)[:, None])
    best = [i for i in np.argsort(-gain.ravel(), kind="stable")[:total] if gain.ravel()[i] > 0]
    quota = np.bincount(np.array(best, int) // max(most, 1), minlength=len(p))
    rest = mixed if mixed.any() else np.ones(len(p), bool)
    quota[rest] += allot(np.ones(int(rest.sum())), int(total - quota.sum()), 0)
    return quota


def cures(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    temperature: float = 0.1,
    subsets: int = 15,
    low: int = 2,
    *,
    progress: float,
    attempts: Attempts,
) -> Choices:
    """CurES (arXiv 2510.01037): tasks drawn in proportion to exp(sqrt(p (1 - p)) / temperature), rollouts to sqrt(p (1 - p)).

    p is the posterior mean (right + 1) / (tries + 2). The pool is cut into `subsets`, one after another over the budget, so
    that no posterior outlives the policy it was measured on by more than one subset's time.
    """
    if subsets < 1 or not temperature > 0:
        raise UserError(f"cures needs subsets >= 1 and temperature > 0, got {subsets}, {temperature}")
    # Every subsets-th task, so that each subset holds tasks of all arms.
    turn = min(int(progress * subsets), subsets - 1) % len(attempts)
    mine = np.arange(turn, len(attempts), min(subsets, len(attempts)))
    p = (attempts.right[mine] + 1) / (attempts.tries[mine] + 2)
    spread = np.sqrt(p * (1 - p))
    chosen = weighted(np.exp((spread - 0.5) / temperature), prompts, rng)
    return dealt(attempts, mine[chosen], prompts * samples, weights=spread[chosen], low=low)
