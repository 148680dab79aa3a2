"""FUT: what another order of training would have come to, estimated from one that was tried, without training again.

An update of the state by a block of training is expanded around where the tried order was at the same time (`follow`): to first
order it is the update there plus its derivative times how far the other order has strayed. The state here is the logit of every
arm's success, a block of arm i adds p (1 - p) of that arm times its row of an influence matrix, and the matrix is estimated
from an earlier run's evaluations (`influence`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Arm, Choices, Evaluation, UserError
from sharpen.curriculum.common import History, in_order, spread
from sharpen.curriculum.earlier import Earlier, paths, read
from sharpen.curriculum.mixture import next_level


def follow(reference: np.ndarray, updates: np.ndarray, jacobians: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """(D,) where an order ends: g <- g + updates[t, b] + jacobians[t, b] (g - reference[t]), b being its block at time t.

    reference  (T, D) states of the tried order before each block
    updates    (T, K, D) what each of K blocks would do there; jacobians (T, K, D, D) their derivatives by the state
    Exact where updates are affine in the state, such as gradient steps on quadratic losses. Source: arXiv 2505.22042,
    equations 3 to 5, without its random projections.
    """
    state = reference[0].astype(np.float64)
    for t, block in enumerate(order):
        state = state + updates[t, block] + jacobians[t, block] @ (state - reference[t])
    return state


def ends(reference: np.ndarray, influence: np.ndarray, orders: np.ndarray, second: bool = True) -> np.ndarray:
    """(N, A) the logits at which orders (N, T) of blocks of arms end. A block of arm i adds g_i * influence[i], g = p (1 - p),
    which is expanded around the reference to first order, or, with `second`, to second order, as in the paper."""
    p = 1 / (1 + np.exp(-reference))
    g = p * (1 - p)
    state = np.repeat(reference[:1], len(orders), axis=0).astype(np.float64)
    rows = np.arange(len(orders))
    for t in range(orders.shape[1]):
        i = orders[:, t]
        at, slope = g[t, i], g[t, i] * (1 - 2 * p[t, i])
        strayed = state[rows, i] - reference[t, i]
        curve = g[t, i] * (1 - 6 * g[t, i]) if second else 0.0
        gain = at + slope * strayed + 0.5 * curve * strayed**2
        state = state + np.clip(gain, 0.0, 0.25)[:, None] * influence[i]
    return state


def influence(run: Earlier, arms: Sequence[Arm], ridge: float = 1.0) -> np.ndarray:
    """(A, A): what a rollout on arm i adds to the logit of arm j, for each p (1 - p) of arm i, by ridge regression on the
    rounds of an earlier run; what it cannot tell is a multiple of the graph of levels (`mixture.next_level`), which it can."""
    rates = run.rates(arms)
    logits = np.log(rates / (1 - rates))
    change = np.diff(logits, axis=0)
    spent = np.array([[s.get(arm, 0) for arm in arms] for s in run.spent], np.float64).reshape(len(run.spent), len(arms))
    x = spent * (rates * (1 - rates))[:-1]
    graph = np.array([[next_level(i, j) for j in arms] for i in arms])
    drive = x @ graph
    scale = max(float((drive * change).sum() / max((drive**2).sum(), 1e-12)), 0.0)
    left = change - scale * drive
    unit = max(float(np.mean(x**2)), 1e-12) * len(x)
    return scale * graph + np.linalg.solve(x.T @ x + ridge * unit * np.eye(len(arms)), x.T @ left)


def best_order(reference: np.ndarray, effect: np.ndarray, blocks: int, candidates: int, rng: np.random.Generator) -> np.ndarray:
    """(T,) arms, each as often as any other: of `candidates` random orders, the two by level and what mutating the best of them
    finds, the one whose estimated end has the highest mean success."""
    arms, t = effect.shape[0], blocks
    even = np.sort(np.arange(t) % arms)
    pool = np.array([even, even[::-1], *[rng.permutation(even) for _ in range(max(candidates - 2, 0))]])
    for _ in range(8):
        score = value(reference, effect, pool)
        best = pool[np.argsort(-score, kind="stable")[: max(len(pool) // 4, 1)]]
        children = best[rng.integers(len(best), size=len(pool) - len(best))].copy()
        for child in children:
            a, b = rng.integers(t, size=2)
            child[[a, b]] = child[[b, a]]
        pool = np.concatenate([best, children])
    return pool[int(np.argmax(value(reference, effect, pool)))]


def value(reference: np.ndarray, effect: np.ndarray, orders: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-ends(reference, effect, orders)))).mean(axis=1)


def estimated(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    earlier: str = "",
    blocks: int = 24,
    candidates: int = 64,
    review: float = 0.2,
    *,
    progress: float,
    evaluations: Sequence[Evaluation],
    kept: dict[str, np.ndarray],
) -> Choices:
    """FUT (arXiv 2505.22042) as a curriculum: the order of arms whose end is estimated to be best, which no run has tried.

    earlier  directory of a run of the same tasks; none: the graph of levels stands for what was measured
    blocks   parts of the budget, each one arm's; every arm has as many as any other, give or take one
    review   share of the prompts spread over all arms evenly
    """
    if blocks < 1 or candidates < 2:
        raise UserError(f"estimated needs blocks >= 1 and candidates >= 2, got {blocks}, {candidates}")
    order = in_order(arms)
    if "plan" not in kept:
        kept["plan"] = planned(earlier, order, evaluations, blocks, candidates, prompts * samples, rng).astype(np.int64)
    now = int(kept["plan"][min(int(progress * blocks), len(kept["plan"]) - 1)])
    return spread(order, [float(i == now) for i in range(len(order))], prompts, samples, rng, review)


def planned(
    earlier: str,
    order: Sequence[Arm],
    evaluations: Sequence[Evaluation],
    blocks: int,
    candidates: int,
    rollouts: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The arm of each block."""
    listed = paths(earlier)
    if listed:
        run = read(listed[0])
        rates, effect = run.rates(order), influence(run, order)
        each = sum(sum(s.values()) for s in run.spent) / blocks  # rollouts of a block, had it the same budget
    else:
        rates = Earlier((), tuple(evaluations[:1]), ()).rates(order) if evaluations else np.full((1, len(order)), 0.2)
        effect, each = np.array([[0.01 * next_level(i, j) for j in order] for i in order]), float(rollouts)
    logits = np.log(rates / (1 - rates))
    at = np.linspace(0, len(logits) - 1, blocks)
    reference = np.array([np.interp(at, np.arange(len(logits)), column) for column in logits.T]).T
    return best_order(reference, effect * each, blocks, candidates, rng)
