"""Curricula that are themselves learnt: a mixture by offline reinforcement learning, and an allocation by policy gradient.

Both see an arm by a few numbers and weigh every arm's numbers alike, so what is learnt with some arms holds for others, and for
any number of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sharpen.core import Arm, Choices, Evaluation, UserError
from sharpen.curriculum.common import History, in_order, spread
from sharpen.curriculum.earlier import Earlier, paths, read

# --------------------------------------------------------------------------------------------- a mixture, learnt offline


@dataclass(frozen=True)
class Transitions:
    """What earlier mixtures came to. rates and best (M, A) before each round, shares (M, A) of the round, reward (M,) change of
    the mean success, next_rates and next_best (M, A) after it, last (M,) where the run ended there."""

    rates: np.ndarray
    best: np.ndarray
    shares: np.ndarray
    reward: np.ndarray
    next_rates: np.ndarray
    next_best: np.ndarray
    last: np.ndarray


def described(rates: np.ndarray, best: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(…, 7) a state and a mixture: sums over arms of what a share meets there, and of the state alone."""
    g, lost, even = rates * (1 - rates), np.maximum(best - rates, 0.0), 1 / rates.shape[-1]
    told = (shares * g, shares * rates, shares * lost, shares**2, even * g, even * rates, even * lost)
    return np.stack([x.sum(axis=-1) for x in np.broadcast_arrays(*told)], axis=-1)


def conservative(
    seen: Transitions, mixtures: np.ndarray, alpha: float = 0.1, gamma: float = 0.9, rounds: int = 10, inner: int = 20
) -> np.ndarray:
    """(7,) weights of Q = described . w, by conservative Q-learning (arXiv 2006.04779, equation 4) on what was tried.

    Each round the targets reward + gamma max Q are fixed and the squared error is lowered together with alpha times
    logsumexp of Q over `mixtures` (K, A) less Q of what was done: what nobody tried is not believed to be good. alpha=0: fitted
    Q iteration.
    """
    done = described(seen.rates, seen.best, seen.shares)
    scale = np.maximum(np.abs(done).max(axis=0), 1e-6)
    x = done / scale
    others = described(seen.rates[:, None], seen.best[:, None], mixtures[None]) / scale  # (M, K, 7)
    after = described(seen.next_rates[:, None], seen.next_best[:, None], mixtures[None]) / scale
    w = np.zeros(x.shape[1])
    for _ in range(rounds):
        target = seen.reward + gamma * np.where(seen.last, 0.0, (after @ w).max(axis=1))
        for _ in range(inner):
            q = others @ w
            share = np.exp(q - q.max(axis=1, keepdims=True))
            share /= share.sum(axis=1, keepdims=True)
            pull = (share[..., None] * others).sum(axis=1) - x
            w = w - 0.2 * (x.T @ (x @ w - target) / len(x) + alpha * pull.mean(axis=0) + 1e-4 * w)
    return w / scale


def mixtures_of(arms: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, A) even, and drawn at random: from nearly one arm to nearly all alike."""
    width = rng.choice([0.2, 1.0, 5.0], size=n - 1)
    return np.array([np.full(arms, 1 / arms), *[rng.dirichlet(np.full(arms, a)) for a in width]])


def transitions(runs: Sequence[Earlier], arms: Sequence[Arm]) -> Transitions:
    """Those of earlier runs."""
    rows = []
    for run in runs:
        rates = run.rates(arms)
        best = np.maximum.accumulate(rates, axis=0)
        for t, spent in enumerate(run.spent):
            shares = np.array([spent.get(arm, 0) for arm in arms], np.float64)
            if shares.sum():
                gain = rates[t + 1].mean() - rates[t].mean()
                last = t + 1 == len(run.spent)
                rows.append((rates[t], best[t], shares / shares.sum(), gain, rates[t + 1], best[t + 1], last))
    if not rows:
        raise UserError("the earlier runs hold no round in which anything was practised: there is nothing to learn from them.")
    return Transitions(*(np.array(column) for column in zip(*rows, strict=True)))


def proxies(arms: int, rng: np.random.Generator, runs: int = 12, rounds: int = 10) -> Transitions:
    """Those of small students that forget, as the testbed has them, under random mixtures: where no earlier run is at hand."""
    difficulty = np.sort(rng.uniform(-2, 4, size=(runs, arms)), axis=1)
    skill, rows = np.zeros((runs, arms)), []
    best = rates = 1 / (1 + np.exp(difficulty))
    for t in range(rounds):
        shares = np.array([mixtures_of(arms, 2, rng)[1] for _ in range(runs)])
        learnt = 3.0 * arms * shares * rates * (1 - rates)
        around = np.pad(learnt, ((0, 0), (1, 1)))
        skill = 0.93 * (skill + learnt + 0.2 * (around[:, :-2] + around[:, 2:]))
        after = 1 / (1 + np.exp(difficulty - skill))
        end = np.full(runs, t + 1 == rounds)
        rows.append((rates, best, shares, after.mean(axis=1) - rates.mean(axis=1), after, np.maximum(best, after), end))
        rates, best = after, np.maximum(best, after)
    return Transitions(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def mixing_agent(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    earlier: str = "",
    alpha: float = 0.1,
    gamma: float = 0.9,
    candidates: int = 64,
    floor: float = 0.1,
    *,
    evaluations: Sequence[Evaluation],
    kept: dict[str, np.ndarray],
) -> Choices:
    """Data Mixing Agent (arXiv 2507.15640): after each evaluation the mixture that a learnt agent values most.

    The agent is taught once, at the first step, by conservative Q-learning on the rounds of earlier runs, or on `proxies`. Its
    state is the success of every arm now and at its best, its action a mixture out of `candidates` drawn at random, its reward
    the change of the mean success. floor: share of the prompts spread evenly.
    """
    if not (alpha >= 0 and 0 <= gamma < 1 and candidates >= 2):
        raise UserError(f"mixing_agent needs alpha >= 0, 0 <= gamma < 1 and candidates >= 2: {alpha}, {gamma}, {candidates}")
    order = in_order(arms)
    if "agent" not in kept:
        seen = transitions([read(p) for p in paths(earlier)], order) if paths(earlier) else proxies(len(order), rng)
        kept["agent"] = conservative(seen, mixtures_of(len(order), 32, rng), alpha, gamma)
        kept["chosen_at"], kept["mixture"] = np.full(1, -1, np.int64), np.full(len(order), 1 / len(order))
    if len(evaluations) != int(kept["chosen_at"][0]) or len(kept["mixture"]) != len(order):
        rates = Earlier((), tuple(evaluations), ()).rates(order) if evaluations else np.full((1, len(order)), 0.5)
        options = mixtures_of(len(order), candidates, rng)
        q = described(rates[-1][None], rates.max(axis=0)[None], options) @ kept["agent"]
        kept["mixture"], kept["chosen_at"] = options[int(q.argmax())], np.array([len(evaluations)], np.int64)
    return spread(order, kept["mixture"], prompts, samples, rng, floor)


# -------------------------------------------------------------------------------------------- an allocation in two stages


def seen_of(history: History, arms: Sequence[Arm]) -> np.ndarray:
    """(A, 5) what the allocator knows of each arm: 1, its success lately, p (1 - p), how that changed, whether it was tried."""
    rows = []
    for arm in arms:
        parts = [history.get(arm, ())[-8:-4], history.get(arm, ())[-4:]]
        n = [sum(s.n for s in part) for part in parts]
        p = [(sum(s.successes for s in part) + 0.5) / (k + 1) for part, k in zip(parts, n, strict=True)]
        rows.append([1.0, p[1], 4 * p[1] * (1 - p[1]), abs(p[1] - p[0]) if n[0] else 0.0, float(n[1] > 0)])
    return np.array(rows)


def allocated(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    rate: float = 0.5,
    room: float = 0.34,
    floor: float = 0.1,
    *,
    kept: dict[str, np.ndarray],
) -> Choices:
    """Task allocation in two stages (arXiv 2407.00496): each prompt names the arm it would rather go to, then arms have room.

    First every prompt is pre-assigned an arm, drawn from a softmax of the arms' values, a learnt sum of what is seen of them.
    Then each arm takes of those that named it no more than `room` of all prompts, and who is left over goes to arms with room,
    by the same softmax. The weights follow REINFORCE with a running mean as baseline; what a prompt on an arm is paid is the
    mean |advantage| of that arm's rollouts in the step.
    """
    if not (rate >= 0 and 0 < room <= 1 and 0 <= floor <= 1):
        raise UserError(f"allocated needs rate >= 0, 0 < room <= 1 and 0 <= floor <= 1, got {rate}, {room}, {floor}")
    order = in_order(arms)
    if "values" not in kept:
        kept.update(values=np.zeros(5), paid=np.zeros(1), until=np.full(1, -1, np.int64))
        kept.update(was=np.zeros((0, 5)))
    learn(kept, history, order, rate)
    sight = seen_of(history, order)
    kept["was"] = sight
    odds = softmaxed(sight @ kept["values"])
    most = max(int(np.ceil(room * prompts)), int(np.ceil(prompts / len(order))))
    wanted = np.bincount(rng.choice(len(order), size=prompts, p=odds), minlength=len(order))
    taken = np.minimum(wanted, most)
    for _ in range(int((wanted - taken).sum())):
        free = np.where(taken < most, odds, 0.0)
        taken[rng.choice(len(order), p=free / free.sum())] += 1
    return spread(order, taken.astype(np.float64), prompts, samples, rng, floor)


def learn(kept: dict[str, np.ndarray], history: History, order: Sequence[Arm], rate: float) -> None:
    """REINFORCE on the newest step: each arm's prompts, what they were paid less what prompts are paid, times the gradient of
    the logarithm of the softmax that named it."""
    newest = max((s.step for arm in order for s in history.get(arm, ())[-1:]), default=-1)
    if newest <= int(kept["until"][0]) or len(kept["was"]) != len(order):
        return
    last = [history[arm][-1] if history.get(arm) and history[arm][-1].step == newest else None for arm in order]
    n = np.array([s.n if s else 0 for s in last], np.float64)
    paid = np.array([s.abs_advantage / s.n if s and s.n else 0.0 for s in last])
    if n.sum():
        share = n / n.sum()
        odds = softmaxed(kept["was"] @ kept["values"])
        better = paid - float(kept["paid"][0] if int(kept["until"][0]) >= 0 else share @ paid)
        kept["values"] = kept["values"] + rate * (share * better) @ (kept["was"] - odds @ kept["was"])
        kept["paid"] = 0.9 * kept["paid"] + 0.1 * (share @ paid) if int(kept["until"][0]) >= 0 else np.array([share @ paid])
    kept["until"] = np.array([newest], np.int64)


def softmaxed(values: np.ndarray) -> np.ndarray:
    odds = np.exp(values - values.max())
    return odds / odds.sum()
