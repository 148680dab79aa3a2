"""Claims about learnt rewards on tables and coins, without a model: python bench/reward_toys.py [NAME …]

ranker     a scorer that has learnt to love a token: hard negatives against random ones, as many (RewardRanker, test 1)
checklist  one score against five yes-or-no questions, by a judge that errs alike (TICK)
debate     a judge who hears both sides, against the closed form (debate for a weak supervisor)
blend      a part that hints and a part that misleads, with weights learnt and fixed (BARFI)
conair     programs, tests that agree with a common mistake, and a few questions (ConAIR)

Each prints a line of JSON. All of it takes a few seconds.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np

from sharpen.data import blending
from sharpen.verify.consistency import ask_tests


def ranker(tasks: int = 200, many: int = 16, rounds: int = 6) -> dict[str, Any]:
    """Answers are (evidence, token, right). The first pairs have the token in 40 % of right and 2 % of wrong answers; the
    generator that is ranked has learnt to put it into 30 % of wrong ones, and 5 % of right ones."""
    rng = np.random.default_rng(0)

    def answers(n: int, right_token: float, wrong_token: float) -> tuple[np.ndarray, np.ndarray]:
        right = rng.random(n) < 0.5
        token = rng.random(n) < np.where(right, right_token, wrong_token)
        return np.stack([rng.normal(right * 1.2, 1.0), token], axis=1), right

    def fitted(pairs: np.ndarray) -> np.ndarray:
        w = np.zeros(2)
        for _ in range(400):
            p = 1 / (1 + np.exp(pairs @ w))
            w += 0.5 * (pairs * p[:, None]).mean(axis=0)
        return w

    def start() -> np.ndarray:
        x, right = answers(4 * tasks, 0.4, 0.02)
        a, b = x[right], x[~right]
        n = min(len(a), len(b))
        return a[:n] - b[:n]

    first, told = start(), {}
    for way in ("hard", "random"):
        pairs, shown = first, []
        for _ in range(rounds + 1):
            w = fitted(pairs)
            new, token, best = [], [], []
            for _ in range(tasks):
                x, right = answers(many, 0.05, 0.3)
                score = x @ w
                top = int(score.argmax())
                token.append(x[top, 1])
                best.append(right[top])
                if right.any() and not right.all():
                    wrong = np.flatnonzero(~right)
                    chosen = wrong[score[wrong].argmax()] if way == "hard" else rng.choice(wrong)
                    new.append(x[rng.choice(np.flatnonzero(right))] - x[chosen])
            shown.append((round(float(np.mean(token)), 3), round(float(np.mean(best)), 3)))
            pairs = np.concatenate([pairs, new])
        told[way] = shown
    return dict(token_and_accuracy_of_the_best_by_round=told)


def ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def checklist(n: int = 20_000, questions: int = 5) -> dict[str, Any]:
    """The truth is how many of five things an answer has. A question is answered wrongly with some chance; one score has as
    much noise as one answer has. Rank correlations with the truth, (ticks, score). Ticks shrink the truth by 1 - 2 error and
    their noise by the root of their number, so they are better up to an error of (1 - 5^-1/2) / 2 = 27.6 %."""
    rng, told = np.random.default_rng(0), {}
    for error in (0.1, 0.2, 0.3):
        has = rng.random((n, questions)) < 0.5
        ticks = np.where(rng.random(has.shape) < error, ~has, has).mean(axis=1)
        score = has.mean(axis=1) + rng.normal(0, math.sqrt(error * (1 - error)), n)
        truth = ranks(has.sum(axis=1))
        told[f"error {error}"] = [round(float(np.corrcoef(ranks(v), truth)[0, 1]), 3) for v in (ticks, score)]
    return told


def chances(n: int, p: float) -> list[float]:
    """Of 0 to n successes."""
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def debate(n: int = 50_000, honest: float = 0.6, lying: float = 0.3) -> dict[str, Any]:
    """Each turn a side shows a decisive fact with its chance; the judge believes who showed more, at a tie a coin."""
    rng, told = np.random.default_rng(0), {}
    for turns in (0, 1, 2, 3, 5):
        for name, other in (("", lying), (" alike", honest)):
            a, b = rng.binomial(turns, honest, n), rng.binomial(turns, other, n)
            found = float(np.mean((a > b) + 0.5 * (a == b)))
            pa, pb = (chances(turns, p) for p in (honest, other))
            exact = sum(x * y * (i > j) + 0.5 * x * y * (i == j) for i, x in enumerate(pa) for j, y in enumerate(pb))
            told[f"{turns} turns{name}"] = (round(found, 3), round(exact, 3))
    return told


def blend(steps: int = 400, tau: float = 0.5) -> dict[str, Any]:
    """A softmax over three arms, of which the third is right. One part pays the right arm too (a hint), one another arm. The
    policy is the optimum for the blend; weights are moved by the slope, from its own draws, or stay 1."""
    rng = np.random.default_rng(0)
    true = np.array([0.0, 0.0, 1.0])
    parts = {"hint": np.array([0.0, 0.0, 0.5]), "misleads": np.array([0.0, 2.0, 0.0])}

    def policy(weights: dict[str, float]) -> np.ndarray:
        reward = true + sum(weights[k] * v for k, v in parts.items())
        p = np.exp((reward - reward.max()) / tau)
        return p / p.sum()

    fixed, phi = policy(dict.fromkeys(parts, 1.0))[2], dict.fromkeys(parts, 0.0)
    none = policy(phi)[2]
    for _ in range(steps):
        drawn = rng.choice(3, 64, p=policy(phi))
        for name, part in parts.items():
            phi[name] = float(np.clip(phi[name] + 0.2 * blending.slope(true[drawn], part[drawn], tau), -1, 1))
    right = {"learnt": policy(phi)[2], "fixed sum": fixed, "true reward alone": none}
    return {"weights": {k: round(v, 3) for k, v in phi.items()}, "right": {k: round(float(v), 3) for k, v in right.items()}}


def conair(draws: int = 300) -> dict[str, Any]:
    """10 programs: 3 right, 5 with one mistake, 2 with others; 30 tests, of which 40 % are wrong and agree with that one.
    The mistake passes these, and half of the right ones."""
    rng, won = np.random.default_rng(0), dict.fromkeys(range(5), 0)
    for _ in range(draws):
        good = np.arange(30) >= 12
        common = ~good | (rng.random(30) < 0.5)
        passed = np.array([*[good] * 3, *[common] * 5, *(rng.random((2, 30)) < 0.3)])
        for questions in won:
            chosen = ask_tests(passed, good.__getitem__, questions).chosen
            won[questions] += chosen is not None and chosen < 3
    return {f"{k} questions": round(v / draws, 3) for k, v in won.items()}


if __name__ == "__main__":
    toys = dict(ranker=ranker, checklist=checklist, debate=debate, blend=blend, conair=conair)
    for name in sys.argv[1:] or toys:
        print(json.dumps({name: toys[name]()}), flush=True)
