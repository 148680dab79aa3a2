"""What a task is worth by its success rate s, from 0 to 1: weights for diagnoses, quotas, and learning to propose."""

from __future__ import annotations

import math


def equal(s: float) -> float:
    """1."""
    return 1.0


def failing(s: float) -> float:
    """The failure rate 1 - s."""
    return 1.0 - s


def root(s: float) -> float:
    """sqrt(1 - s): MLLM-DataEngine's adaptive bad-case sampling (arXiv 2308.13566). Mastered kinds keep some of the mass."""
    return math.sqrt(max(1.0 - s, 0.0))


def regret(s: float) -> float:
    """|mean - best reward|, which for rewards of 0 and 1 is 1 - s, and 0 where all or none succeed: eva (arXiv 2411.00062)."""
    return 1.0 - s if 0 < s < 1 else 0.0


def middle(s: float, sigma: float = 0.2) -> float:
    """exp(-(s - 1/2)^2 / (2 sigma^2)): Socratic-Zero's utility of a problem (arXiv 2509.24726); 0.044 at both ends."""
    return math.exp(-((s - 0.5) ** 2) / (2 * sigma**2))


def grounded(s: float) -> float:
    """The same with sigma = 1/6, and nothing at the ends: SPELL's questioner (arXiv 2509.23863)."""
    return middle(s, 0.5 / 3) if 0 < s < 1 else 0.0


def barely(s: float, most: float = 0.25) -> float:
    """1 where it was solved, but in fewer than `most` of the tries: what STP's conjecturer learns from (arXiv 2502.00212)."""
    return 1.0 if 0 < s < most else 0.0


def learnable(s: float) -> float:
    """1 where some succeed and some fail."""
    return 1.0 if 0 < s < 1 else 0.0


def solved(s: float) -> float:
    """1 where any try succeeded."""
    return float(s > 0)


def above(s: float, least: float = 0.35) -> float:
    """1 where more than `least` succeeded: the seeds of STP are proved in more than 0.35 of the tries."""
    return float(s > least)
