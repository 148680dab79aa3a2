"""Paired differences: hand-worked numbers, and how often intervals and verdicts are right where the truth is known."""

import math

import numpy as np
import pytest

from sharpen.compare import paired
from sharpen.compare.result import verdict
from sharpen.core import Arm, Evaluation

X, Y = Arm("x", 1), Arm("y", 1)
SEEDS, ARMS, TASKS = 3, 10, 60


def of(*solved: float) -> paired.Scores:
    return {X: np.array(solved, dtype=float)}


def test_students_t_is_that_of_the_tables():
    # Any table of Student's t: 12.706, 4.303, 2.776 and 2.042 for 1, 2, 4 and 30 degrees of freedom, 9.925 for 2 at 1 %.
    for freedom, p, t in ((1, 0.05, 12.7062), (2, 0.05, 4.30265), (4, 0.05, 2.77645), (30, 0.05, 2.04227), (2, 0.01, 9.92484)):
        assert paired.student_quantile(freedom, p) == pytest.approx(t, abs=1e-4)
    assert paired.student_p(1.0, 1) == pytest.approx(0.5)  # Cauchy: half of it lies beyond 1
    assert paired.student_p(0.0, 5) == 1 and paired.student_p(math.inf, 2) == 0


def test_holm_by_hand():
    # Sorted: 0.01 * 3 = 0.03; 0.03 * 2 = 0.06; 0.04 * 1 = 0.04, raised to 0.06.
    assert paired.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert paired.holm([0.7, 0.6]) == [1.0, 1.0] and paired.holm([]) == []


def test_one_seed_rests_on_its_tasks():
    found = paired.difference([of(0, 0, 1, 1)], [of(1, 1, 1, 0)])
    # Changes 1, 1, 0, -1: mean 1/4; variance (3 + 1) / (4 + 2)^2 = 1/9, error 1/3.
    assert (found.value, found.n) == (0.25, 4)
    assert (found.low, found.high) == pytest.approx((0.25 - 1.959964 / 3, 0.25 + 1.959964 / 3))
    assert found.p == pytest.approx(math.erfc(0.75 / math.sqrt(2)))


def test_two_seeds_rest_on_students_t_where_that_is_wider():
    ones = [1.0] * 400
    low, high = [0.0] * 160 + [1.0] * 240, [0.0] * 80 + [1.0] * 320
    found = paired.difference([of(*low), of(*high)], [of(*ones), of(*ones)])
    # Differences 0.4 and 0.2: mean 0.3, standard deviation 0.1414, error 0.1; t(1) at 5 % is 12.706.
    assert found.value == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.3 - 1.27062, 0.3 + 1.27062), abs=1e-4)
    assert found.p == pytest.approx(1 - 2 * math.atan(3) / math.pi)  # Cauchy beyond t = 3: 0.205


def test_seeds_that_agree_by_luck_are_no_surer_than_their_tasks():
    a, b = [1.0] * 50 + [0.0] * 50, [1.0] * 51 + [0.0] * 49  # one task of a hundred, each time
    found = paired.difference([of(*a)] * 3, [of(*b)] * 3)
    error = math.sqrt(3 * 2 / 102**2) / 3
    assert found.p == pytest.approx(math.erfc(0.01 / error / math.sqrt(2))) and found.p > 0.2
    assert found.high - found.value == pytest.approx(1.959964 * error)


def test_identical_runs_show_no_difference():
    runs = [{X: np.array([1.0, 0, 1]), Y: np.array([0.0, 0])}] * 3
    found = paired.difference(runs, runs)
    assert (found.value, found.p) == (0, 1) and found.low < 0 < found.high
    assert verdict(found, found.p, "grpo")["verdict"] == "no difference shown"


def test_arms_count_alike_and_what_was_not_judged_does_not_count():
    scores = paired.scores(Evaluation({X: (True, None, False, True), Y: (False,)}))
    assert paired.value(scores) == pytest.approx((2 / 3 + 0) / 2)
    other = paired.scores(Evaluation({X: (True, True, None, False), Y: (True,)}))
    found = paired.difference([scores], [other])
    assert (found.value, found.n) == ((-0.5 + 1) / 2, 3)  # X: 0 and -1, of the two that were judged both times; Y: +1
    nothing = paired.scores(Evaluation({X: (None,)}))
    assert paired.difference([nothing], [nothing]) is None and paired.level([nothing]) is None


def test_what_cannot_be_paired_is_refused():
    for first, second in (([of(1)], [of(1), of(1)]), ([of(1)], [of(1, 0)]), ([of(1)], [{Y: np.ones(1)}])):
        with pytest.raises(ValueError, match="cannot be paired"):
            paired.difference(first, second)


def test_a_level_has_the_interval_of_its_seeds_or_of_its_tasks():
    one = paired.level([of(*[1.0] * 8, *[0.0] * 2)])
    assert (one.low, one.high) == pytest.approx((0.4902, 0.9433), abs=1e-3)  # Wilson, 8 of 10
    three = paired.level([of(*[1.0] * n, *[0.0] * (1000 - n)) for n in (400, 500, 600)])
    assert (three.value, three.low, three.high) == pytest.approx((0.5, 0.5 - 0.2484, 0.5 + 0.2484), abs=1e-3)
    assert paired.level([of(*[0.0] * 10)] * 3).high > 0.05  # three seeds at zero do not make zero certain


# Truth known: tasks of very different difficulty, and training whose luck shifts a run's skill.


def run(rng: np.random.Generator, difficulty: np.ndarray, skill: float, luck: float) -> paired.Scores:
    solved = rng.random(difficulty.shape) < 1 / (1 + np.exp(difficulty - skill - luck * rng.normal()))
    return {Arm("f", i): row.astype(float) for i, row in enumerate(solved)}


def trials(rng, n: int, gain: float = 0.0, luck: tuple[float, float] = (0.15, 0.15)):
    """n comparisons of a method with another that is better by `gain`: the runs of both."""
    for _ in range(n):
        first, second = [], []
        for _ in range(SEEDS):
            difficulty = rng.normal(0, 3, (ARMS, TASKS))
            first.append(run(rng, difficulty, 0.0, luck[0]))
            second.append(run(rng, difficulty, gain, luck[1]))
        yield first, second


def test_false_alarms_are_at_most_one_in_twenty_and_tasks_alone_give_far_more():
    rng = np.random.default_rng(0)
    found = [(paired.difference(a, b), a, b) for a, b in trials(rng, 600, luck=(0.3, 0.3))]
    assert sum(d.p <= 0.05 for d, _, _ in found) <= 0.05 * 600 + 2 * math.sqrt(600 * 0.05 * 0.95)
    assert sum(d.low > 0 or d.high < 0 for d, _, _ in found) == sum(d.p <= 0.05 for d, _, _ in found)
    pooled = [paired.difference([joined(a)], [joined(b)]) for _, a, b in found]
    assert sum(d.p <= 0.05 for d in pooled) > 0.2 * 600  # what the docstring warns of


def joined(runs):
    return {arm: np.concatenate([one[arm] for one in runs]) for arm in runs[0]}


def test_an_unstable_method_raises_no_more_false_alarms():
    rng = np.random.default_rng(1)
    alarms = sum(paired.difference(a, b).p <= 0.05 for a, b in trials(rng, 600, luck=(0.05, 1.0)))
    assert alarms <= 0.05 * 600 + 2 * math.sqrt(600 * 0.05 * 0.95)


def test_intervals_cover_the_truth():
    """The truth is the mean over luck and tasks, here by averaging over many."""
    rng = np.random.default_rng(2)
    difficulty, shifts = rng.normal(0, 3, 200_000), 0.15 * rng.normal(size=200_000)
    truth = float((1 / (1 + np.exp(difficulty - 0.5 - shifts)) - 1 / (1 + np.exp(difficulty - shifts))).mean())
    assert 0.04 < truth < 0.07
    found = [paired.difference(a, b) for a, b in trials(rng, 500, gain=0.5)]
    covered = sum(d.low <= truth <= d.high for d in found)
    assert covered >= 0.95 * 500 - 2 * math.sqrt(500 * 0.05 * 0.95)
    levels = [paired.level(a) for a, _ in trials(rng, 300)]
    assert sum(e.low <= 0.5 <= e.high for e in levels) >= 0.95 * 300 - 2 * math.sqrt(300 * 0.05 * 0.95)


def test_a_large_gain_is_seen_and_called_by_its_name():
    rng = np.random.default_rng(3)
    found = [paired.difference(a, b) for a, b in trials(rng, 200, gain=3.0)]
    assert sum(verdict(d, d.p, "grpo")["verdict"] == "better" for d in found) > 0.9 * 200
    back = [paired.difference(b, a) for a, b in trials(rng, 50, gain=3.0)]
    assert {verdict(d, d.p, "grpo")["verdict"] for d in back} <= {"worse", "no difference shown"}


def test_of_many_methods_without_a_difference_rarely_any_is_called_better():
    rng = np.random.default_rng(4)
    called = 0
    for _ in range(200):
        difficulties = [rng.normal(0, 3, (ARMS, TASKS)) for _ in range(SEEDS)]
        runs = [[run(rng, d, 0.0, 0.15) for d in difficulties] for _ in range(6)]
        ps = [paired.difference(runs[0], one).p for one in runs[1:]]
        called += min(paired.holm(ps)) <= 0.05
    assert called <= 0.05 * 200 + 2 * math.sqrt(200 * 0.05 * 0.95)


def test_a_verdict_says_its_numbers():
    d = paired.Difference(0.021, 0.004, 0.038, 0.0101, 6300)
    assert verdict(d, 0.0101, "grpo")["says"] == "better than grpo: +2.1 points (+0.4 to +3.8, p = 0.01)"
    assert verdict(d, 0.07, "grpo")["says"] == "no difference shown to grpo: +2.1 points (+0.4 to +3.8, p = 0.07)"
    assert verdict(d, 0.0002, "grpo", "area")["says"].startswith("better than grpo in area under the curve: ")
    assert "p < 0.001" in verdict(d, 0.0002, "grpo")["says"]
    down = paired.Difference(-0.3, -0.4, -0.2, 0.0, 10)
    assert verdict(down, 0.0, "grpo")["says"] == "worse than grpo: -30.0 points (-40.0 to -20.0, p < 0.001)"
