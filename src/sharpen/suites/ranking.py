"""Models in order of what they reach, what refining adds, and what that costs.

Shashidhar et al., "Democratizing LLMs: An Exploration of Cost-Performance Trade-offs in Self-Refined Open-Source Models"
(PeRFICS), arXiv 2310.07611. Its formula could not be found in any copy: this is ours, (w_b B + w_r R) / C^w_c with B the
score before and R after refining, both relative to the best model, and C the cost relative to the dearest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """How much the score before, the score after refining and the cost count; a cost of weight 0 is ignored."""

    base: float = 0.5
    refined: float = 0.5
    cost: float = 0.25


def ranked(models: Mapping[str, tuple[float, float, float]], weights: Weights | None = None) -> list[tuple[str, float]]:
    """(name, score), the best first, of (before, after refining, cost above 0) by name. Units of cost do not matter, and a
    model that is nowhere worse and no dearer is never behind. ValueError for a cost of 0 or less."""
    w = weights or Weights()
    if any(cost <= 0 for _, _, cost in models.values()):
        raise ValueError("a cost has to be above 0")
    tops = [max((figures[k] for figures in models.values()), default=1.0) or 1.0 for k in range(3)]

    def score(figures: Sequence[float]) -> float:
        before, after, cost = (value / top for value, top in zip(figures, tops))
        return (w.base * before + w.refined * after) / cost**w.cost

    return sorted(((name, score(figures)) for name, figures in models.items()), key=lambda pair: (-pair[1], pair[0]))


def figures(rows: Sequence[Mapping[str, object]]) -> tuple[float, float, float] | None:
    """(before, after refining, tokens of both) of a suite's rows; None where it has no axis of correction."""
    found = {str(row["measure"]): float(row["value"]) for row in rows if row["axis"] == "correction"}  # type: ignore[arg-type]
    wanted = ("before", "after refine", "tokens before", "tokens refine")
    if any(name not in found for name in wanted):
        return None
    before, after, first, second = (found[name] for name in wanted)
    return before, after, max(first + second, 1.0)
