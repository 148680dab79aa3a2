"""Loops that consume themselves, exactly; and what balances exploration against exploitation."""

from __future__ import annotations

import numpy as np

from sharpen.data import balance, consuming


def modes():
    """Three modes on a grid, the best of which the reward is highest at."""
    x = np.linspace(-4, 4, 81)
    p = sum(np.exp(-((x - m) ** 2) / 0.1) for m in (-2.5, 0.0, 2.5))
    return x, p / p.sum(), -np.maximum(np.abs(x - 2.5) - 0.2, 0)


def test_curation_raises_the_reward_at_least_by_its_variance_and_a_constant_one_changes_nothing():
    x, p, r = modes()
    e = np.exp(r)
    for _ in range(60):
        q = consuming.curated(p, r)
        mean, after = p @ e, q @ e
        assert abs(q.sum() - 1) < 1e-9 and after >= mean + 0.5 * (p @ (e - mean) ** 2) / e.max() - 1e-12
        p = q
    assert np.allclose(consuming.curated(p, np.zeros_like(r)), p)


def test_alone_it_collapses_to_the_best_mode_and_real_data_keep_all_of_them():
    x, p0, r = modes()
    alone, mixed = p0, p0
    for _ in range(300):
        alone = consuming.curated(alone, r)
        mixed = consuming.retrained(mixed, r, 0.5, p0)
    near = [np.abs(x - m) < 0.6 for m in (-2.5, 0.0, 2.5)]
    assert alone[near[2]].sum() > 0.999
    assert min(mixed[n].sum() for n in near) > 0.1 and mixed @ np.exp(r) > p0 @ np.exp(r)


def test_the_balance_score_wants_enough_right_answers_and_no_wrong_ones():
    assert balance.score(8, 8, 8) == 1 and balance.score(9, 9, 8) == 1 and balance.score(0, 0, 8) == 0
    assert balance.score(4, 8, 8) == 0.25 and balance.score(4, 4, 8) == 0.5
    assert all(0 <= balance.score(k, n, 8) <= 1 for n in range(1, 20) for k in range(n + 1))


def test_as_skill_grows_a_higher_temperature_is_best():
    """Distinct right answers grow with the temperature, and how many are right falls with it, less for a better student."""

    def best(skill):
        def worth(t):
            rate = skill * np.exp(-((t - 0.6) ** 2) / skill)
            right = 8 * rate * (1 - np.exp(-2 * t))
            return balance.score(right, right, 6)

        return max(balance.GRID, key=worth)

    chosen = [best(skill) for skill in (0.1, 0.3, 0.6, 0.9)]
    assert chosen == sorted(chosen) and chosen[-1] > chosen[0]
