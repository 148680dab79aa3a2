"""Agent K (arXiv 2411.03562) in small: a stream of tabular problems, each with a hidden recipe of its family.

A configuration is a transform, a model and one knob; its score on held-out rows is computed, without a model, from how far it
is from the family's best. The agent tries some and hands one in. Families recur, so who remembers needs fewer tries.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sharpen.core import Verdict

TRANSFORMS, MODELS = ("none", "log", "rank"), ("linear", "trees", "nearest")
FAMILIES = 6
GOOD = 0.95  # of the best score


def best_of(family: int) -> tuple[str, str, float]:
    draw = random.Random(f"recipe {family}")
    return draw.choice(TRANSFORMS), draw.choice(MODELS), round(draw.uniform(0.1, 0.9), 2)


def score(family: int, transform: str, model: str, knob: float) -> float:
    """0 to 1: 0.3 each for transform and model, and up to 0.4 for the knob."""
    right = best_of(family)
    return 0.3 * (transform == right[0]) + 0.3 * (model == right[1]) + 0.4 * math.exp(-((knob - right[2]) ** 2) / 0.08)


class Tabular:
    """Tools: try_config, submit."""

    def reset(self, task: Mapping[str, Any]) -> str:
        self.family = random.Random(f"tabular {task.get('seed', 0)}").randrange(FAMILIES)
        self.tries, self.result, self.done = 0, 0.0, False
        known = f"Transforms: {', '.join(TRANSFORMS)}. Models: {', '.join(MODELS)}. Knob: 0 to 1."
        return f"A table of the kind {self.family}. {known}"

    def try_config(self, transform: str, model: str, knob: float) -> str:
        """Score a configuration on held-out rows.

        transform  of the columns
        model      that is fitted
        knob       0 to 1
        """
        self.tries += 1
        return f"{self.value(transform, model, knob):.3f}"

    def submit(self, transform: str, model: str, knob: float) -> str:
        """Hand a configuration in.

        transform  of the columns
        model      that is fitted
        knob       0 to 1
        """
        self.result, self.done = self.value(transform, model, knob), True
        return f"{self.result:.3f}"

    def value(self, transform: str, model: str, knob: float) -> float:
        if transform not in TRANSFORMS or model not in MODELS or not 0 <= knob <= 1:
            raise ValueError("there is no such configuration")
        return score(self.family, transform, model, knob)

    def reward(self) -> Verdict:
        outcome = "correct" if self.result >= GOOD else "wrong"
        return Verdict(outcome, min(self.result, 1.0), {"tries": float(self.tries)}, rule="score")


def improvement(knobs: Sequence[float], scores: Sequence[float], at: np.ndarray, length: float = 0.15) -> np.ndarray:
    """Expected improvement of a Gaussian process at knobs (N,): Bayesian optimisation (Jones et al. 1998, equation 15).

    RBF kernel of this length, unit variance, noise 1e-4, scores centred on their mean.
    """
    x, y = np.array(knobs, float), np.array(scores, float)
    scale = y.std() or 1.0
    kernel = np.exp(-((x[:, None] - x[None, :]) ** 2) / (2 * length**2)) + 1e-4 * np.eye(len(x))
    cross = np.exp(-((at[:, None] - x[None, :]) ** 2) / (2 * length**2))
    mean = y.mean() + cross @ np.linalg.solve(kernel, y - y.mean())
    spread = scale * np.sqrt(np.maximum(1 - np.sum(cross * np.linalg.solve(kernel, cross.T).T, axis=1), 1e-12))
    z = (mean - y.max()) / spread
    normal = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z])
    return spread * (z * below + normal)


def tune(family: int, transform: str, model: str, tries: int) -> list[float]:
    """Scores of the knobs that expected improvement tries one after the other."""
    grid, knobs = np.linspace(0, 1, 101), [0.5]
    scores = [score(family, transform, model, 0.5)]
    for _ in range(tries - 1):
        knobs.append(float(grid[int(improvement(knobs, scores, grid).argmax())]))
        scores.append(score(family, transform, model, knobs[-1]))
    return scores


def solution(task: Mapping[str, Any]) -> list[str]:
    family = random.Random(f"tabular {task.get('seed', 0)}").randrange(FAMILIES)
    transform, model, knob = best_of(family)
    return [f'submit(transform="{transform}", model="{model}", knob={knob})']
