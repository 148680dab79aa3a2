"""Shares and differences of shares with 95 % intervals, for small and lopsided samples.

1. `share`  k of n: Wilson's score interval.
2. `change` the same n tasks tried twice: Wald's interval after half a task is added to each of the four cells. Agresti & Min
            (2005), "Simple improved confidence intervals for comparing matched proportions", Statistics in Medicine 24:729–740.
3. `mean`   of independent estimates: MOVER, with low = m - sqrt(sum (value - low)^2) / k and high = m + sqrt(sum (high -
            value)^2) / k. Zou, Huang & Zhang (2009), "A note on confidence interval estimation for a linear function of
            binomial proportions", Computational Statistics & Data Analysis 53:1080-1085. It never leaves the range of its
            parts, needs no variance (which would be 0 at 0 % and 100 %), and is the part itself where k = 1.
4. `any_of`, `vote`  what k tries at a task are worth: at least one right (pass@k), and the answer of most (maj@k).

All say how sure we are given these tasks. None covers the luck of training: that needs more seeds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959963984540054  # two-sided 95 %


def interval(successes: float, n: int) -> tuple[float, float]:
    """95 % confidence interval of a success rate: Wilson's score interval. (0, 1) for n = 0.

    Unlike the textbook interval it is not of width zero at 0 or n successes. Raises ValueError outside 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n, got {successes} of {n}")
    if n == 0:
        return 0.0, 1.0
    z2 = Z**2
    middle = (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    return max(middle - half, 0.0), min(middle + half, 1.0)  # rounding may step 1e-17 outside


@dataclass(frozen=True)
class Estimate:
    """A value between low and high with 95 % certainty, from n tasks."""

    value: float
    low: float
    high: float
    n: int


def share(successes: float, n: int) -> Estimate | None:
    """The share of n tasks that were solved; None where n is 0, because nothing is known."""
    if n == 0:
        return None
    low, high = interval(successes, n)
    return Estimate(successes / n, float(low), float(high), n)


def any_of(right: int, n: int, k: int) -> float:
    """pass@k, without bias, of a task of whose n tries so many were right: 1 - C(n - right, k) / C(n, k).

    The probability that at least one of k tries, drawn from the n without putting back, is right. Chen et al., arXiv
    2107.03374, equation 1. Raises ValueError unless 0 <= right <= n and 1 <= k <= n.
    """
    if not (0 <= right <= n and 1 <= k <= n):
        raise ValueError(f"{right} right of {n} tries say nothing of {k}")
    return 1.0 - math.comb(n - right, k) / math.comb(n, k)


def vote(ballots: Sequence[tuple[str, bool]]) -> float:
    """maj@k of one task: whether the answer that most of k tries gave is right; of (answer, whether it is right) each.

    Empty answers have no vote. Where several answers have most votes, the share of them that is right, which is what drawing
    one of them gives on average. Tries that are right are one answer, however it is written. 0 without any vote.
    Wang et al., arXiv 2203.11171.
    """
    count = Counter("" if right else f"={answer}" for answer, right in ballots if right or answer)
    most = [answer for answer, n in count.items() if n == max(count.values())]
    return most.count("") / len(most) if most else 0.0


def change(gained: int, lost: int, n: int) -> Estimate | None:
    """The change in the share of n tasks solved, of which `gained` are newly solved and `lost` no longer; None where n is 0."""
    if n == 0:
        return None
    centre = (gained - lost) / (n + 2)
    half = Z * math.sqrt(gained + lost + 1 - (gained - lost) ** 2 / (n + 2)) / (n + 2)
    return Estimate((gained - lost) / n, max(-1.0, centre - half), min(1.0, centre + half), n)


def mean(parts: Sequence[Estimate | None]) -> Estimate | None:
    """The unweighted mean of the parts that are known; None where none is."""
    known = [p for p in parts if p is not None]
    if not known:
        return None
    value = sum(p.value for p in known) / len(known)
    below = math.sqrt(sum((p.value - p.low) ** 2 for p in known)) / len(known)
    above = math.sqrt(sum((p.high - p.value) ** 2 for p in known)) / len(known)
    return Estimate(value, value - below, value + above, sum(p.n for p in known))
