"""Loops that consume what they made: curation raises what it curates for, and a share of real data keeps the rest.

Ferbach et al., "Self-Consuming Generative Models with Curated Data Provably Optimize Human Preferences", arXiv 2407.09499: of
K samples of p_t one is kept, with probability softmax(reward); without real data p_t goes to p_0 restricted to the best
reward, and with it the loop is stable and stays near the reference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharpen.core import Sample
from sharpen.data.selection import keep_correct


def with_real(
    samples: Sequence[Sample], share: float = 0.25, distinct: bool = True, *, demos: Sequence[Sample]
) -> list[Sample]:
    """One's own right answers, and so many worked solutions of the same tasks that they are `share` of the batch, as far as
    there are so many; spread over the tasks. Raises ValueError for a share of 1 or more: then nothing of one's own is left."""
    if not 0 <= share < 1:
        raise ValueError(f"share={share}: from 0 to below 1")
    own = keep_correct(samples, distinct)
    wanted = min(round(share / (1 - share) * len(own)), len(demos))
    return own + [demos[i * len(demos) // wanted] for i in range(wanted)]


def curated(p: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """(N,) what training on the better of two samples makes of a distribution, exactly: p(x) E_y[2 e^r(x) / (e^r(x) +
    e^r(y))]."""
    w, p = np.exp(reward - reward.max()), p / p.sum()  # what is lost in rounding would double with every round
    return p * (2 * w[:, None] / (w[:, None] + w[None, :]) @ p)


def retrained(p: np.ndarray, reward: np.ndarray, real: float, reference: np.ndarray) -> np.ndarray:
    """A round of the loop with a share of real data: real * reference + (1 - real) * curated(p)."""
    return real * reference + (1 - real) * curated(p, reward)
