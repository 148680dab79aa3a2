"""Preference games: the rates and signs that the papers promise, on policies over a few answers."""

import itertools

import numpy as np
import pytest

from sharpen.objectives import games


def rng(seed=0):
    return np.random.default_rng(seed)


def policy(n, seed=0):
    return games.normalised(rng(seed).normal(size=n))


@pytest.mark.parametrize("beta", [0.05, 0.2, 0.5])
def test_nash_mp_converges_at_its_linear_rate(beta):
    """KL(equilibrium || policy) falls by 1 + 2 beta a step, two queries each, in a game that is not transitive."""
    for seed in range(3):
        prefer, reference = games.random_preference(5, rng(seed)), policy(5, seed + 10)
        path = games.mirror_prox(prefer, reference, beta, 2 * beta, 3000)
        equilibrium = path[-1]
        gap = [games.divergence(equilibrium, p) for p in path[:60]]
        assert gap[0] > 1e-3
        assert all(g <= gap[0] * (1 + 2 * beta) ** -k * (1 + 1e-9) + 1e-14 for k, g in enumerate(gap))
        # It is the equilibrium: the best answer to itself, reference * exp(P(y > equilibrium) / beta).
        assert equilibrium == pytest.approx(games.tilt(reference, prefer @ equilibrium, beta), abs=1e-9)


def test_the_rate_does_not_depend_on_the_number_of_answers():
    for n in (3, 30, 100):
        path = games.mirror_prox(games.random_preference(n, rng(n)), policy(n), 0.2, 0.4, 1500)
        gap = [games.divergence(path[-1], p) for p in path[:40]]
        assert all(g <= gap[0] * 1.4**-k + 1e-13 for k, g in enumerate(gap))


def test_plain_self_play_circles_where_preferences_do_and_its_average_does_not():
    """Rock, paper, scissors: the last policy never settles, the average of SPO tends to the uniform minimax winner."""
    start = np.array([0.6, 0.3, 0.1])
    path = games.self_play(games.CYCLE, start, 0.05, 5000)
    late = [games.exploitability(games.CYCLE, p) for p in path[-1000:]]
    assert min(late) > games.exploitability(games.CYCLE, start) * 0.9
    early, whole = (np.mean(path[:n], axis=0) for n in (250, 5000))
    assert games.exploitability(games.CYCLE, whole) < 0.1 * games.exploitability(games.CYCLE, early)
    assert whole == pytest.approx(1 / 3, abs=0.02)
    settled = games.mirror_prox(games.CYCLE, np.ones(3) / 3 + [0.2, 0, -0.2], 0.05, 0.1, 2000)[-1]
    assert games.exploitability(games.CYCLE, settled) < 0.05


def test_win_rates_rank_as_the_reward_does():
    """SPO under Bradley-Terry: whoever the opponent, the better answer wins more often."""
    reward = rng().normal(size=6)
    for seed in range(5):
        wins = games.preference(reward) @ policy(6, seed)
        assert np.argsort(wins).tolist() == np.argsort(reward).tolist()


def test_the_robust_pair_is_a_saddle_point():
    """SRPO: no other improver gains, no other generator loses less. And log generator(y) / reference(y) equals
    log improver(y | y) / reference(y) up to a constant: what its supervised loss fits."""
    prefer, reference, beta = games.random_preference(4, rng()), policy(4, 1), 0.3
    generator, improver = games.robust(prefer, reference, beta)

    def value(generator, improver):
        gain = [q @ prefer[:, y] - beta * games.divergence(q, reference) for y, q in enumerate(improver)]
        return generator @ np.array(gain) + beta * games.divergence(generator, reference)

    here = value(generator, improver)
    for seed in range(20):
        other = policy(4, seed + 100)
        assert value(generator, [0.9 * q + 0.1 * other for q in improver]) < here
        assert value(0.9 * generator + 0.1 * other, improver) > here
    gap = np.log(generator / reference) - np.log(np.diag(improver) / reference)
    assert gap == pytest.approx(gap[0], abs=1e-12)


@pytest.mark.parametrize("beta, factor", [(0.4, -1.5), (0.6, -2 / 3), (1.0, 0.0), (2.0, 0.5)])
def test_the_error_of_spin_is_multiplied_by_one_minus_one_over_beta(beta, factor):
    data, present = policy(6), policy(6, 1)

    def error(p):
        gap = np.log(p) - np.log(data)
        return gap - gap.mean()

    following = games.spin(data, present, beta)
    assert error(following) == pytest.approx(factor * error(present), abs=1e-12)
    assert games.spin(data, data, beta) == pytest.approx(data)
    for _ in range(5):
        following = games.spin(data, following, beta)
    assert (games.divergence(data, following) > games.divergence(data, present)) == (beta < 0.5)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5])
def test_momentum_is_one_over_one_minus_alpha_times_as_fast(alpha):
    """After t rounds log(pi / pi_0) = c_t reward / beta, with c_t / t -> 1 / (1 - alpha)."""
    reward, start = np.array([0.0, 0.3, 1.0]), policy(3)
    last = games.accelerated(start, reward, 50.0, alpha, 200)[-1]
    shift = np.log(last / start)
    assert (shift[2] - shift[0]) * 50 / 200 == pytest.approx(1 / (1 - alpha), rel=0.02)


def test_moving_the_reference_multiplies_the_tilt_and_a_fixed_one_does_not():
    """Online DPO's two readings: the reference is the last iterate, or the start."""
    start, reward = policy(4), rng().normal(size=4)
    moving = games.accelerated(start, reward, 2.0, 0.0, 5)[-1]
    assert moving == pytest.approx(games.tilt(start, 5 * reward, 2.0))
    assert games.tilt(start, reward, 2.0) == pytest.approx(games.accelerated(start, reward, 2.0, 0.0, 1)[-1])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_curated_retraining_climbs_by_at_least_its_bound_and_collapses(k):
    p, reward = policy(12), rng(1).normal(size=12)
    worth = np.exp(reward)
    for _ in range(100):
        q = games.curated(p, reward, k)
        assert q.sum() == pytest.approx(1, abs=1e-9)
        mean = p @ worth
        assert q @ worth >= mean + (k - 1) / k * (p @ worth**2 - mean**2) / worth.max() - 1e-12
        p = q / q.sum()
    for _ in range(400):
        p = games.curated(p, reward, k)
        p /= p.sum()
    assert p[reward.argmax()] > 0.99


def test_a_uniform_filter_changes_nothing_and_real_data_keep_every_mode():
    start, reward = policy(10), rng(2).normal(size=10) * 3
    for k in (2, 4):
        assert games.curated(start, np.full(10, 0.7), k) == pytest.approx(start)
    p = start
    for _ in range(300):
        p = 0.5 * start + 0.5 * games.curated(p, reward, 2)
    assert (p > 0.4 * start).all() and p @ np.exp(reward) > start @ np.exp(reward)


def test_best_of_n_is_the_limit_of_curation_and_stays_within_its_divergence():
    p, reward = policy(20), rng(3).normal(size=20)
    for n in (1, 2, 4):
        # Enumeration: the best of n draws.
        by_hand = np.zeros(20)
        for drawn in itertools.product(range(20), repeat=n):
            by_hand[max(drawn, key=lambda y: reward[y])] += p[list(drawn)].prod()
        found = games.best_of(p, reward, n)
        assert found == pytest.approx(by_hand)
        assert games.divergence(found, p) <= np.log(n) - (n - 1) / n + 1e-12
    assert games.best_of(p, np.ones(20), 4) == pytest.approx(p)
    sharp = np.array([0, 100, 200, 300, 400.0])
    assert games.curated(policy(5), sharp, 3) == pytest.approx(games.best_of(policy(5), sharp, 3), abs=1e-12)


def test_neon_helps_only_where_sampler_and_model_err_the_same_way():
    """A zero-mean Gaussian with variance v for a truth of 1, one gradient-flow step towards samples of temperature tau."""

    def risk(v):
        return 0.5 * np.log(v) + 1 / (2 * v)

    def change(v, tau, w):
        synthetic = v + 0.1 * (tau**2 * v - v)
        return risk(games.neon(np.array(v), np.array(synthetic), w)) - risk(v)

    for w in (0.5, 1.0):
        assert change(0.7, 0.9, w) < 0  # too narrow, and samples narrower still: pushing away helps
        assert change(0.7, 1.1, w) > 0
        assert change(1.3, 0.9, w) > 0
        assert change(1.3, 1.1, w) < 0
    assert change(0.7, 0.9, 1.0) == pytest.approx(-0.0039, abs=5e-5)
    assert games.neon(np.array([1.0]), np.array([3.0]), -1.0) == 3.0  # plain self-training
