"""Curricula: the predictions SEC makes on a small bandit, fair shares, and numbers by hand."""

import math

import numpy as np
import pytest

from sharpen import curriculum
from sharpen.core import HISTORY, Arm, ArmStats, Rollout, Sample, Task, UserError, Verdict

ARMS = [Arm("sum", 1), Arm("sum", 2), Arm("gcd", 1), Arm("gcd", 2), Arm("gcd", 3)]


def rng(seed=0):
    return np.random.default_rng(seed)


def shares(chosen, arms):
    drawn = [arm for arm, _ in chosen]
    return np.array([drawn.count(arm) / len(drawn) for arm in arms])


def stats(arm, r, step=0, n=8):
    """A step in which the arm's mean |advantage| was r."""
    return ArmStats(step=step, arm=arm, n=n, successes=n // 2, abs_advantage=r * n, tokens=10 * n)


class Bandit:
    """Levels with a latent skill: p = σ(skill - difficulty). Practice raises the skill by p (1 - p), and that of the
    neighbouring levels by a share `transfer` of it."""

    def __init__(self, difficulty, transfer, rate=0.12):
        self.arms = [Arm("level", i) for i in range(len(difficulty))]
        self.difficulty, self.transfer, self.rate = np.array(difficulty, dtype=float), transfer, rate
        self.skill = np.zeros(len(difficulty))
        self.history = {}

    @property
    def p(self):
        return 1 / (1 + np.exp(self.difficulty - self.skill))

    def step(self, step, teacher, generator, prompts=16, samples=8):
        chosen = teacher(self.history, self.arms, prompts, samples, generator)
        learnt, p = np.zeros(len(self.arms)), self.p
        for i, arm in enumerate(self.arms):
            tries = [n for a, n in chosen if a == arm]
            if not tries:
                continue
            right = generator.binomial(tries, p[i]) / tries
            total = float((2 * np.sqrt(right * (1 - right)) * tries).sum())
            entry = ArmStats(step, arm, sum(tries), int((right * tries).sum()), total, 0)
            self.history[arm] = [*self.history.get(arm, ()), entry][-HISTORY:]
            gain = self.rate * p[i] * (1 - p[i]) * len(tries)
            learnt[i] += gain
            for j in (i - 1, i + 1):
                if 0 <= j < len(self.arms):
                    learnt[j] += self.transfer * gain
        self.skill += learnt
        return shares(chosen, self.arms)


# ----------------------------------------------------------------------------------------------------------------- uniform


@pytest.mark.parametrize("prompts", [0, 3, 5, 7, 23])
def test_uniform_is_balanced(prompts):
    chosen = curriculum.uniform({}, ARMS, prompts, 4, rng())
    counts = [[arm for arm, _ in chosen].count(a) for a in ARMS]
    assert len(chosen) == prompts and max(counts) - min(counts) <= 1 and {n for _, n in chosen} <= {4}


def test_uniform_gives_the_remainder_to_every_arm_in_turn():
    total = sum(shares(curriculum.uniform({}, ARMS, 7, 1, rng(seed)), ARMS) for seed in range(400)) / 400
    assert total == pytest.approx(0.2, abs=0.02)


# --------------------------------------------------------------------------------------------------------------------- SEC


def test_values_by_hand():
    """From 1 with alpha 1/2: R = 0 gives 1/2, R = 1/2 stays, R = 1 gives 3/4. Untried arms keep the initial value."""
    seen = {ARMS[0]: [stats(ARMS[0], 0.0), stats(ARMS[0], 0.5), stats(ARMS[0], 1.0)]}
    assert curriculum.values(seen, ARMS[:2], alpha=0.5, initial=1.0).tolist() == [0.75, 1.0]
    assert curriculum.values(seen, ARMS[:2], alpha=0.5, initial=0.0).tolist() == [0.625, 0.0]


def test_shares_are_the_softmax():
    seen = {ARMS[0]: [stats(ARMS[0], 0.0)] * 3, ARMS[1]: [stats(ARMS[1], 1.0)] * 3}
    # With alpha 1, Q is the last R: 0 and 1; three arms never tried have the initial 1/2.
    chosen = curriculum.sec(seen, ARMS, 10_000, 8, rng(), alpha=1.0, temperature=0.5, initial=0.5)
    weight = np.exp(np.array([0, 1, 0.5, 0.5, 0.5]) / 0.5)
    assert shares(chosen, ARMS) == pytest.approx(weight / weight.sum(), abs=2e-4)


def test_a_mastered_arm_loses_weight_geometrically():
    arm = ARMS[0]
    visits = [curriculum.values({arm: [stats(arm, 0.9), *[stats(arm, 0.0)] * k]}, [arm], 0.3, 1.0)[0] for k in range(6)]
    assert np.array(visits[1:]) / visits[:-1] == pytest.approx(0.7)


def test_the_impossible_arm_falls_to_the_floor_of_the_softmax_and_not_to_nothing():
    bandit, generator = Bandit([0, 30], transfer=0.0, rate=0.0), rng()
    share = [bandit.step(t, curriculum.sec, generator)[1] for t in range(300)]
    assert share[0] == 0.5  # nothing is known yet
    q = np.array([curriculum.values(bandit.history, bandit.arms, 0.3, 1.0)[0], 0.0])
    floor = 1 / np.exp(q / 0.2).sum()
    assert np.mean(share[100:]) == pytest.approx(floor, rel=0.5) and np.mean(share[100:]) > 0


def test_equal_arms_stay_near_uniform():
    bandit, generator = Bandit([0, 0, 0, 0], transfer=0.0, rate=0.0), rng()
    share = np.array([bandit.step(t, curriculum.sec, generator) for t in range(300)])
    assert share.mean(axis=0) == pytest.approx(0.25, abs=0.03)


def test_the_frontier_moves_from_easy_to_hard():
    """With transfer, the arm in favour moves up level by level with p (1 - p), reaches the hardest, and never returns.
    (Mean of eight runs and ten steps: between a level mastered and the next in reach there is a lull, where chance rules.)"""
    share, learnable = np.zeros((10, 4)), np.zeros((10, 4))
    for seed in range(8):
        bandit, generator = Bandit([-1, 1, 3, 5], transfer=0.3), rng(seed)
        for t in range(100):
            learnable[t // 10] += bandit.p * (1 - bandit.p)
            share[t // 10] += bandit.step(t, curriculum.sec, generator)
    favourite = share.argmax(axis=1)
    assert set(favourite) == {1, 2, 3} and (np.diff(favourite) >= 0).all()
    assert np.mean(favourite == learnable.argmax(axis=1)) >= 0.8


def hardest(teacher, transfer, difficulty, seed, steps=100):
    bandit, generator = Bandit(difficulty, transfer), rng(seed)
    for t in range(steps):
        bandit.step(t, teacher, generator)
    return bandit.p[-1]


def test_sec_beats_uniform_on_the_hardest_level_only_where_something_can_be_learnt_there():
    reachable, walled = [-1, 1, 3, 5], [-1, 1, 3, 60]
    for seed in range(3):
        assert hardest(curriculum.sec, 0.3, reachable, seed) > hardest(curriculum.uniform, 0.3, reachable, seed) + 0.1
        # No transfer and no success to start from: a gain here would be a leak of what the curriculum must not know.
        assert hardest(curriculum.sec, 0.0, walled, seed) == hardest(curriculum.uniform, 0.0, walled, seed) < 1e-20


def test_floor_keeps_every_arm_in_sight():
    seen = {a: [stats(a, 1.0 if a == ARMS[0] else 0.0)] * 30 for a in ARMS}
    none = shares(curriculum.sec(seen, ARMS, 1000, 8, rng(), temperature=0.05), ARMS)
    some = shares(curriculum.sec(seen, ARMS, 1000, 8, rng(), temperature=0.05, floor=0.2), ARMS)
    assert none[1:] == pytest.approx(0, abs=1e-3) and some[1:] == pytest.approx(0.04, abs=1e-3)


def test_temperature_near_zero_takes_the_best_without_overflow():
    seen = {a: [stats(a, i / 10)] for i, a in enumerate(ARMS)}
    assert {a for a, _ in curriculum.sec(seen, ARMS, 50, 8, rng(), alpha=1.0, temperature=1e-9)} == {ARMS[4]}


@pytest.mark.parametrize("teacher", [curriculum.uniform, curriculum.sec])
def test_listing_order_does_not_matter_and_the_generator_decides(teacher):
    seen = {a: [stats(a, i / 5)] * 4 for i, a in enumerate(ARMS[:4])}
    one = teacher(seen, ARMS, 13, 8, rng(5))
    shuffled = dict(reversed(seen.items()))
    assert teacher(shuffled, ARMS[::-1], 13, 8, rng(5)) == one
    assert any(teacher(seen, ARMS, 13, 8, rng(seed)) != one for seed in range(20))


def test_renaming_arms_renames_the_shares():
    seen = {a: [stats(a, i / 5)] * 4 for i, a in enumerate(ARMS)}
    order = [3, 0, 4, 1, 2]
    renamed = {ARMS[order[i]]: seen[a] for i, a in enumerate(ARMS)}
    before = shares(curriculum.sec(seen, ARMS, 5000, 8, rng()), ARMS)
    after = shares(curriculum.sec(renamed, ARMS, 5000, 8, rng()), ARMS)
    assert after[order] == pytest.approx(before, abs=1e-3)


def test_empty_steps_and_unknown_arms_are_passed_over():
    void = ArmStats(3, ARMS[0], n=0, successes=0, abs_advantage=0.0, tokens=0)
    seen = {ARMS[0]: [stats(ARMS[0], 0.5), void], Arm("other", 1): [stats(Arm("other", 1), 1.0)]}
    assert curriculum.values(seen, ARMS[:1], 0.5, 1.0).tolist() == [0.75]
    assert {a for a, _ in curriculum.sec(seen, ARMS, 50, 8, rng())} <= set(ARMS)


@pytest.mark.parametrize("teacher", [curriculum.uniform, curriculum.sec])
def test_no_arms_is_an_error_with_its_cure(teacher):
    with pytest.raises(UserError, match="no arms; check --tasks"):
        teacher({}, [], 4, 8, rng())


@pytest.mark.parametrize(
    "knob", [dict(alpha=0), dict(alpha=1.1), dict(temperature=0), dict(temperature=math.inf), dict(floor=-0.1), dict(floor=2),
             dict(initial=math.nan), dict(alpha=math.nan)]
)  # fmt: skip
def test_knobs_out_of_range(knob):
    with pytest.raises(UserError, match=next(iter(knob))):
        curriculum.sec({}, ARMS, 4, 8, rng(), **knob)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_statistics_that_are_not_numbers_name_the_arm(bad):
    with pytest.raises(ValueError, match="gcd/2 at step 7"):
        curriculum.sec({ARMS[3]: [stats(ARMS[3], bad, step=7)]}, ARMS, 4, 8, rng())


# -------------------------------------------------------------------------------------------------------------------- draw


def test_draw_rounds_the_expected_number_up_or_down_without_bias():
    weights = np.array([0.5, 0.3, 0.2, 0.0, 1.0])
    expected = weights / weights.sum() * 7
    counts = np.array([[curriculum.draw(ARMS, weights, 7, rng(seed)).count(a) for a in ARMS] for seed in range(1000)])
    assert (np.abs(counts - expected) < 1).all() and (counts.sum(axis=1) == 7).all()
    assert counts.mean(axis=0) == pytest.approx(expected, abs=0.06) and not counts[:, 3].any()


@pytest.mark.parametrize("u", [0.0, np.nextafter(1, 0)])
def test_draw_never_takes_an_arm_of_weight_zero_at_either_end(u):
    """The lowest point falls on the edge of the first arm; the highest may lie beyond the last edge, which rounds to less
    than 1."""

    class Extreme:
        def random(self):
            return u

    arms = [Arm("arm", i) for i in range(12)]
    for prompts in range(1, 30):
        drawn = curriculum.draw(arms, [0, *[0.1] * 10, 0], prompts, Extreme())
        assert len(drawn) == prompts and not {arms[0], arms[11]} & set(drawn)


@pytest.mark.parametrize("weights", [[1, math.nan, 1, 1, 1], [1, -1, 1, 1, 1], [1, math.inf, 1, 1, 1], [0, 0, 0, 0, 0]])
def test_draw_refuses_weights_that_are_none(weights):
    with pytest.raises(UserError, match="sum/2" if any(weights) else "all weights of the arms are 0"):
        curriculum.draw(ARMS, weights, 4, rng())


# ------------------------------------------------------------------------------------------------- statistics and intervals


def sample(level, group, outcome, n=3):
    task = Task(({"role": "user", "content": f"{level} {group}"},), "4", "sum", level)
    rollout = Rollout(task, np.zeros(n, np.int32), np.ones(n, bool), np.zeros(n, np.float32), ("4",), "end", 0, 0, "r")
    reward = {"correct": 1.0, "unscorable": None}.get(outcome, 0.0)
    return Sample(rollout, Verdict(outcome, reward), group)


def test_statistics_by_hand():
    """Level 1: one group half right (four times 1) and one silent; level 2: one of four right, A = √3 and three of 1/√3."""
    level1 = [sample(1, 0, o) for o in ("correct", "correct", "wrong", "malformed")] + [sample(1, 1, "correct")] * 2
    level2 = [sample(2, 2, o) for o in ("unscorable", "correct", "wrong", "wrong", "wrong", "unscorable")]
    level3 = [sample(3, 3, "unscorable")]
    one, two, three = curriculum.statistics(9, [*level2, *level1, *level3])
    assert (one.step, one.arm, one.n, one.successes, one.tokens) == (9, Arm("sum", 1), 6, 4, 18)
    assert one.abs_advantage == pytest.approx(4, abs=1e-4)
    assert (two.arm, two.n, two.successes, two.tokens) == (Arm("sum", 2), 4, 1, 18)
    assert two.abs_advantage == pytest.approx(2 * math.sqrt(3), abs=1e-4)
    assert (three.n, three.successes, three.abs_advantage, three.tokens) == (0, 0, 0.0, 3)
    assert curriculum.statistics(0, []) == []


def test_posterior_by_hand():
    arm = ARMS[0]
    history = [ArmStats(0, arm, 8, 2, 0.0, 0), ArmStats(1, arm, 4, 4, 0.0, 0)]
    assert curriculum.posterior([]) == (1, 1)
    assert curriculum.posterior(history) == (1 + 6, 1 + 6)
    assert curriculum.posterior(history, keep=0.5) == (1 + 1 + 4, 1 + 3 + 0)


def test_interval_by_hand():
    """Wilson's interval for 3 of 10, from his formula with z = 1.96: (0.108, 0.603)."""
    assert curriculum.interval(3, 10) == pytest.approx((0.10779, 0.60322), abs=1e-5)
    assert curriculum.interval(0, 0) == (0.0, 1.0)
    bounds = [curriculum.interval(k, n) for n in range(1, 100) for k in (0, 1, n)]
    assert all(0 <= low < high <= 1 for low, high in bounds)  # and not 1e-17 outside
    low, high = curriculum.interval(0, 20)
    assert low == pytest.approx(0, abs=1e-15) and 0.1 < high < 0.2  # three in n, roughly: not a width of zero
    assert curriculum.interval(20, 20) == pytest.approx((1 - high, 1))
    for bad in ((-1, 4), (5, 4), (1, 0)):
        with pytest.raises(ValueError, match="between 0 and n"):
            curriculum.interval(*bad)


@pytest.mark.parametrize("n", [8, 32, 64])
def test_interval_covers_the_truth_19_times_in_20(n):
    """Exact coverage, summed over all outcomes of a binomial, on average over success rates."""
    p = np.linspace(0.02, 0.98, 49)
    covered = np.zeros(len(p))
    for k in range(n + 1):
        low, high = curriculum.interval(k, n)
        covered += np.where((low <= p) & (p <= high), math.comb(n, k) * p**k * (1 - p) ** (n - k), 0)
    assert 0.94 < covered.mean() < 0.965 and covered.min() > 0.83
