"""Sequential diagnosis (arXiv 2506.22405): a gatekeeper answers only what is asked, tests cost money, and a cause is named.

K hidden causes with a prior, M yes-no tests with known likelihoods and prices; a fee for each visit, so all questions of a turn
are one. The gatekeeper's answer to a test that the case does not record is drawn from the test's rate over all causes, so that
silence tells nothing. At this size the best policy is known by dynamic programming (`best`). Reward: right, less `price` times
the share of the budget that was spent.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from sharpen.core import Verdict

NAMES = ("flu", "cold", "measles", "asthma", "malaria", "anaemia")
TESTS = ("fever", "cough", "rash", "blood", "xray", "swab")
PRICE = 0.3  # of the whole budget, in rewards


class Case:
    """What one seed makes: prior (K,), likelihood (K, M) of a yes, prices (M,), and which tests the case records."""

    def __init__(self, seed: int, level: int = 2) -> None:
        draw = random.Random(f"case {seed}")
        self.k = self.m = min(2 + level, 6)
        raw = [draw.random() + 0.2 for _ in range(self.k)]
        self.prior = np.array(raw) / sum(raw)
        rates = [[0.9 if (i >> j) & 1 or i == j else 0.1 for j in range(self.m)] for i in range(self.k)]
        self.likely = np.array(rates)
        self.prices = np.array([draw.choice([1, 2, 5]) for _ in range(self.m)], dtype=float)
        self.cause = draw.choices(range(self.k), self.prior.tolist())[0]
        self.recorded = [draw.random() < 0.9 for _ in range(self.m)]
        marginal = self.prior @ self.likely
        self.results = [
            draw.random() < (self.likely[self.cause, j] if self.recorded[j] else marginal[j]) for j in range(self.m)
        ]


class Diagnosis:
    """Tools: test, diagnose."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.case = Case(int(task.get("seed", 0)), int(task.get("level", 2)))
        self.spent, self.done = 0.0, False
        self.named: int | None = None
        case = self.case
        rows = [f"{n}: {p:.2f}" for n, p in zip(NAMES, case.prior)]
        chances = [
            f"{t} ({c:g}): " + " ".join(f"{x:.1f}" for x in case.likely[:, j])
            for j, (t, c) in enumerate(zip(TESTS, case.prices))
        ]
        return "Causes: " + ", ".join(rows) + ". Tests (price): chance of yes for each cause.\n" + "\n".join(chances[: case.m])

    def test(self, name: str) -> str:
        """Have a test made, which costs its price.

        name  of the test
        """
        j = self.number(name, TESTS, self.case.m)
        self.spent += float(self.case.prices[j])
        return f"{name}: {'yes' if self.case.results[j] else 'no'}"

    def diagnose(self, cause: str) -> str:
        """Name the cause; the case is closed.

        cause  its name
        """
        self.named, self.done = self.number(cause, NAMES, self.case.k), True
        return "closed"

    def number(self, name: str, names: tuple[str, ...], most: int) -> int:
        if name not in names[:most]:
            raise ValueError(f"there is no {name!r}. There are: {', '.join(names[:most])}")
        return names.index(name)

    def reward(self) -> Verdict:
        right = self.named == self.case.cause
        cost = min(self.spent / float(self.case.prices.sum()), 1.0)
        parts = {"right": float(right), "cost": self.spent}
        return Verdict("correct" if right else "wrong", max(right - PRICE * cost, 0.0), parts, rule="diagnosis")


def best(case: Case, price: float = PRICE) -> float:
    """The expected 1[right] - price * share spent of the best policy: dynamic programming over what is known (3^M states)."""
    total = float(case.prices.sum())

    @cache
    def value(known: tuple[int, ...]) -> float:
        weight = case.prior.copy()
        for j, seen in enumerate(known):
            if seen >= 0:
                weight = weight * rate(j, seen)
        stop = float(weight.max())
        further = [
            sum(value((*known[:j], seen, *known[j + 1 :])) for seen in (0, 1)) - price * case.prices[j] / total * weight.sum()
            for j in range(case.m)
            if known[j] < 0
        ]
        return max([stop, *map(float, further)])

    def rate(j: int, seen: int) -> np.ndarray:
        """Of an answer, for each cause: nine in ten are recorded, the others say what all causes together would."""
        yes = 0.9 * case.likely[:, j] + 0.1 * float(case.prior @ case.likely[:, j])
        return yes if seen else 1 - yes

    return value((-1,) * case.m)


def solution(task: Mapping[str, Any]) -> list[str]:
    """Test what is cheapest for each cause, then name the likeliest."""
    case = Case(int(task.get("seed", 0)), int(task.get("level", 2)))
    weight = case.prior.copy()
    for j in range(case.m):
        weight = weight * (case.likely[:, j] if case.results[j] else 1 - case.likely[:, j])
    tests = [f'test(name="{TESTS[j]}")' for j in range(case.m)]
    return [*tests, f'diagnose(cause="{NAMES[int(weight.argmax())]}")']
