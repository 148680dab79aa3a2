"""BLADE (arXiv 2408.09667) in small: a research question on a table, and several analyses of it that experts would accept.

The agent names the variables, a transform and a model; each level's items are matched exactly. `coverage` over k runs is the
share of the ground truth that their union matches, `hits` the mean share of a run's items that match.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Verdict

VARIABLES = ("age", "income", "city", "hours", "skill", "weather")
TRANSFORMS, MODELS = ("none", "log", "zscore", "bins"), ("ols", "logit", "mixed", "ttest")
Items = Mapping[str, frozenset[str]]


def truth(seed: int) -> dict[str, frozenset[str]]:
    draw = random.Random(f"analysis {seed}")
    chosen = {
        "variables": draw.sample(VARIABLES, 3),
        "transforms": draw.sample(TRANSFORMS, 2),
        "models": draw.sample(MODELS, 2),
    }
    return {level: frozenset(items) for level, items in chosen.items()}


def hits(runs: Sequence[Items], gold: Items, level: str) -> float:
    """Mean share of what was said that matches; 0 of a run that said nothing."""
    shares = [len(run[level] & gold[level]) / len(run[level]) if run[level] else 0.0 for run in runs]
    return sum(shares) / len(shares) if shares else 0.0


def coverage(runs: Sequence[Items], gold: Items, level: str) -> float:
    """Share of the ground truth that the runs together match."""
    return len(frozenset().union(*(run[level] for run in runs)) & gold[level]) / len(gold[level]) if gold[level] else 0.0


def final(runs: Sequence[Items], gold: Items) -> float:
    """F1 of hits and coverage on each level, weighted by its number of items. Never the release's unweighted score, which adds
    a half where it should multiply by one."""
    total, weight = 0.0, sum(len(items) for items in gold.values())
    for level, items in gold.items():
        h, c = hits(runs, gold, level), coverage(runs, gold, level)
        total += len(items) * (2 * h * c / (h + c) if h + c else 0.0)
    return total / weight if weight else 0.0


class Analysis:
    """Tools: look, submit."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.gold = truth(int(task.get("seed", 0)))
        self.run: dict[str, frozenset[str]] = {level: frozenset() for level in self.gold}
        self.done = False
        known = f"Transforms: {', '.join(TRANSFORMS)}. Models: {', '.join(MODELS)}."
        return f"What explains it? Columns: {', '.join(VARIABLES)}. {known}"

    def look(self, column: str) -> str:
        """See whether a column moves with what is to be explained.

        column  of the table
        """
        if column not in VARIABLES:
            raise ValueError(f"there is no column {column!r}")
        skewed = "log" in self.gold["transforms"] or "bins" in self.gold["transforms"]
        return f"{'related' if column in self.gold['variables'] else 'unrelated'}, {'skewed' if skewed else 'even'}"

    def submit(self, variables: list[str], transform: str, model: str) -> str:
        """Hand the analysis in.

        variables  that explain
        transform  of them
        model      that is fitted
        """
        self.run = {"variables": frozenset(variables), "transforms": frozenset([transform]), "models": frozenset([model])}
        self.done = True
        return "taken"

    def reward(self) -> Verdict:
        value = final([self.run], self.gold)
        whole = self.run["variables"] == self.gold["variables"] and all(self.run[k] <= self.gold[k] for k in self.run)
        right = whole and all(self.run.values())
        return Verdict(
            "correct" if right else "wrong",
            value,
            {f"hits_{k}": hits([self.run], self.gold, k) for k in self.gold},
            rule="items",
        )


def solution(task: Mapping[str, Any]) -> list[str]:
    gold = {k: sorted(v) for k, v in truth(int(task.get("seed", 0))).items()}
    looks = [f'look(column="{name}")' for name in VARIABLES]
    named = ", ".join(f'"{v}"' for v in gold["variables"])
    return [*looks, f'submit(variables=[{named}], transform="{gold["transforms"][0]}", model="{gold["models"][0]}")']
