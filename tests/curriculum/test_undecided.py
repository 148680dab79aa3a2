"""Early rollouts, and where the rest of them goes: by hand, and more groups that can teach than evenly."""

from __future__ import annotations

import numpy as np
import pytest

from sharpen.curriculum import undecided


def quota(right, tried, prior, total, most=8):
    return undecided(np.array(right, float), np.array(tried, float), np.array(prior, float), total, most).tolist()


def test_mixed_groups_wait_and_decided_ones_are_left():
    prior = [(5, 5), (5, 5), (99, 1), (1, 999)]
    assert quota([2, 0, 4, 0], [4, 4, 4, 4], prior, 3) == [0, 3, 0, 0]
    assert sum(quota([2, 0, 4, 0], [4, 4, 4, 4], prior, 50, most=2)) == 50  # what is left is shared by the mixed one
    assert quota([2, 0, 4, 0], [4, 4, 4, 4], prior, 50, most=2) == [44, 2, 2, 2]


def test_what_is_worth_more_comes_first_by_hand():
    # Posterior means 5/14 and 9/14 after four of one kind: q is 5/14 for both, worth p (1 - p)^2: 0.148 and 0.082.
    assert quota([0, 4], [4, 4], [(5, 5), (5, 5)], 1) == [1, 0]
    # The second rollout of the first is worth 9/14 of its first, 0.095 of the chance 5/14: still more than the other's first.
    assert quota([0, 4], [4, 4], [(5, 5), (5, 5)], 2) == [2, 0]
    assert quota([0, 4], [4, 4], [(5, 5), (5, 5)], 3) == [2, 1]


def test_every_rollout_is_spent_whatever_there_is():
    assert quota([4, 4], [4, 4], [(1, 1), (1, 1)], 0) == [0, 0]
    assert quota([0], [0], [(1, 1)], 5) == [5]  # nothing could be judged
    assert sum(quota([1, 1], [2, 2], [(1, 1), (1, 1)], 7)) == 7


@pytest.mark.parametrize("seed", range(3))
def test_more_can_be_learnt_from_as_many_rollouts(seed):
    """200 tasks of three arms (success about 0.02, 0.3 and 0.95), 4 rollouts a task: 2 early and the rest where they count.
    Mixed groups are more, and worth a fifth more by p (1 - p)^2 at least."""
    rng = np.random.default_rng(seed)
    arms = np.repeat([(1.0, 49.0), (3.0, 7.0), (19.0, 1.0)], (80, 60, 60), axis=0)
    p = rng.beta(arms[:, 0], arms[:, 1])
    drawn = rng.random((len(p), 64)) < p[:, None]
    even = drawn[:, :4].sum(axis=1)
    n = 2 + undecided(drawn[:, :2].sum(axis=1).astype(float), np.full(len(p), 2.0), arms, 2 * len(p), 32)
    right = np.array([row[:k].sum() for row, k in zip(drawn, n, strict=True)])
    assert n.sum() == 4 * len(p)
    mixed, before = (right > 0) & (right < n), (even > 0) & (even < 4)
    worth = p * (1 - p) ** 2
    assert mixed.sum() > before.sum() and worth[mixed].sum() > 1.2 * worth[before].sum()
