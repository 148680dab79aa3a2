"""The guard of many looks: what a fall is, what goes back, what is claimed, and what it can see."""

import math
from functools import partial

import numpy as np
import pytest

from sharpen import guard
from sharpen.core import Arm, Decision, Evaluation
from sharpen.guard import falls as found
from sharpen.guard import looks as seq
from sharpen.recipe import call

ARMS = [Arm("sum", i) for i in range(1, 5)]


def solved(*right, n=40):
    """Per arm, the first so many of n tasks are solved."""
    return Evaluation({arm: tuple([True] * k + [False] * (n - k)) for arm, k in zip(ARMS, right)})


def decided(history, after, before=None, looks=1, progress=0.1, retained=(), **settings):
    offered = dict(evaluations=history, retained=retained, looks=looks, progress=progress)
    return call(partial(seq.sequential, **settings), before or history[-1], after, **offered)


def random_arms(rng, skills, n, luck):
    """Evaluations in which every task is solved by chance in one case of `luck`, and else as its place says."""
    right = {}
    for arm, skill in zip(ARMS, skills):
        sure = np.arange(n) < skill * n
        drawn = rng.random(n) < luck
        right[arm] = tuple(np.where(drawn, rng.random(n) < skill, sure).tolist())
    return Evaluation(right)


def test_a_fall_is_mcnemars_between_two_evaluations_and_that_of_mantel_and_haenszel_between_more():
    whole, arms = found.falls([solved(12, n=12), solved(0, n=12)])
    assert arms[0].z == pytest.approx((12 / 2 - 0.5) / math.sqrt(12 / 4)) and arms[0].size == 1.0 and arms[0].rounds == 1
    # Two before, one after, one task: solved twice of three times, both before. Mean 4/3, variance 2 * 1 * 2 * 1 / (9 * 2).
    z, size, *_ = found.compared(*(np.array([[x]]) for x in (2, 2, 0, 1)))
    assert z == [pytest.approx((2 - 4 / 3 - 0.5) / math.sqrt(2 / 9))] and size == [1.0]
    assert whole.arm is None and whole.p == pytest.approx(found.NORMAL.cdf(-whole.z))


def test_what_is_always_or_never_solved_says_nothing():
    for k in (0, 40):
        whole, arms = found.falls([solved(k, k)] * 5)
        assert whole.z == 0 and all(fall.z == 0 for fall in arms)
    assert decided([solved(40)], solved(39)).answer == "unclear"
    assert decided([solved(0)], solved(0)).answer == "unclear"


def test_tasks_that_could_not_be_judged_are_left_out():
    gone = Evaluation({ARMS[0]: (None,) * 20 + (False,) * 20})
    assert found.falls([solved(20), gone])[1][0].z == 0
    with pytest.raises(ValueError, match="differ"):
        found.falls([solved(3), solved(3, 3)])
    with pytest.raises(ValueError, match="two evaluations"):
        found.falls([solved(3)])


def test_many_small_falls_are_seen_together_where_each_is_not():
    """One of 40 tasks is lost in each of nine rounds."""
    history = [solved(30 - i) for i in range(9)]
    assert max(found.falls(history[i : i + 2])[1][0].z for i in range(8)) == pytest.approx(0.0)
    fall = found.falls(history)[1][0]
    assert fall.z > 4 and fall.rounds > 1
    assert decided(history[:1] + history[1:-1], history[-1], before=history[0], looks=8, progress=0.8).answer == "worse"


def rounds_of(*each, arms=12, n=4):
    """(rounds, arms, tasks): the first so many tasks of every arm are solved."""
    right = np.array([[[task < k for task in range(n)] for _ in range(arms)] for k in each], dtype=float)
    return right, np.ones_like(right)


def test_how_much_larger_than_chance_falls_usually_are_is_seen_in_those_of_all_arms():
    """Of each arm two tasks of two that changed are lost: 1 more than chance says, with a variance of 1/2."""
    assert found.wobble(*rounds_of(2, 0)) == pytest.approx(math.sqrt(1 / 0.5))
    assert found.wobble(*rounds_of(2, 0, arms=11)) == 1.0, "of eleven falls little is known"
    assert found.wobble(*rounds_of(0, 2)) == 1.0, "what rises is no fall"
    assert found.wobble(*rounds_of(4, 3, 4, 2, 1)) == 1.0, "one round in which more is lost than usual is no habit"
    rng, tries = np.random.default_rng(0), np.ones((9, 40, 30))
    assert found.wobble((rng.random((9, 40, 30)) < 0.5).astype(float), tries) < 1.1
    skill = np.clip(0.5 + 0.2 * rng.normal(size=(9, 40, 1)), 0, 1)  # a variance of 2 * 0.04 * 30^2 beside 2 * 0.21 * 30
    assert 2.0 < found.wobble((rng.random((9, 40, 30)) < skill).astype(float), tries) < 3.0


def test_where_all_arms_go_up_and_down_the_fall_of_one_is_no_harm_and_the_first_one_is():
    calm, wild = [solved(*(30,) * 4, n=40)] * 8, [solved(*(20 + 10 * (-1) ** (i + a) for a in range(4))) for i in range(8)]
    down = solved(30, 30, 30, 10)
    assert decided(calm, down, before=calm[0]).answer == "worse"
    fell = decided(wild, down, before=wild[0])
    assert fell.answer != "worse" and fell.numbers["wobble"] == pytest.approx(math.sqrt(20.0))  # 20 of 20 that changed
    assert "2.0 times as large as by chance" in found.Fall(ARMS[0], 5.0, 0.2, 1, 2.0).told


def test_a_fall_before_the_accepted_weights_is_no_reason_to_go_back_to_them():
    history = [solved(30), solved(30), solved(10), solved(10)]
    assert decided(history, solved(10), before=history[1]).answer == "worse"
    assert decided(history, solved(10), before=history[-1]).answer == "unclear"


def test_a_rise_is_accepted_unless_some_arm_may_have_fallen():
    assert decided([solved(20, 20, 20)], solved(26, 26, 20)).answer == "better"
    doubtful = decided([solved(20, 20, 20)], solved(30, 30, 12))
    assert doubtful.answer == "unclear" and "sum/3 may have fallen" in doubtful.reason
    assert decided([solved(20, 20, 20)], solved(30, 30, 12), doubt=0.0).answer == "better"
    assert decided([solved(20, 20)], solved(20, 20)).answer == "unclear"
    beyond_chance = decided([solved(20, 20, 20)], solved(40, 40, 12))
    assert beyond_chance.answer == "better" and "sum/3 may have fallen" in beyond_chance.reason
    assert decided([solved(20, 20, 20)], solved(40, 40, 12), sure=100.0).answer == "unclear"


def test_what_chooses_is_not_what_is_reported():
    """Only the tasks that choose rise, or only the others."""
    even = tuple(i % 2 == 0 for i in range(40))
    nothing, chosen, other = ({ARMS[0]: row} for row in ((False,) * 40, even, tuple(not e for e in even)))
    up = decided([Evaluation(nothing)], Evaluation(chosen))
    assert up.answer == "better" and up.numbers["chosen"] == 1.0 and up.numbers["reported"] == 0.0
    same = decided([Evaluation(nothing)], Evaluation(other))
    assert same.answer == "unclear" and same.numbers["reported"] == 1.0
    assert guard.reported(up, Evaluation(chosen)) == 0.0 and guard.reported(Decision("better", ""), Evaluation(chosen)) == 0.5
    lonely = decided([solved(0, n=1)], solved(1, n=1))
    assert "reported" not in lonely.numbers and guard.reported(lonely, solved(1, n=1)) == 1.0


def test_losing_what_is_not_practised_is_harm():
    known = [solved(30, 30), solved(30, 30)]
    lost = decided([solved(20)], solved(30), retained=[*known[:1], solved(10, 12)])
    assert lost.answer == "worse" and "not practised" in lost.reason
    assert decided([solved(20)], solved(30), retained=known).answer == "better"
    assert decided([solved(20)], solved(30), retained=[]).answer == "better"


def test_alpha_is_spent_over_the_budget_whatever_the_number_of_looks():
    fall = solved(28), solved(16)  # 12 of 12
    assert decided([fall[0]], fall[1], looks=1, progress=1.0).answer == "worse"
    assert decided([fall[0]], fall[1], looks=200, progress=1.0).answer == "unclear"
    spent = [decided([fall[0]], fall[1], looks=i, progress=i / 20).numbers["spent"] for i in range(1, 21)]
    assert sum(spent) == pytest.approx(0.1)


def test_a_fall_within_the_tolerance_is_not_held_against_a_round():
    history, after = [solved(600, n=1000)], solved(585, n=1000)
    assert decided(history, after, looks=1, progress=1.0).answer == "unclear"
    assert decided(history, after, looks=1, progress=1.0, tolerance=0.0).answer == "worse"


def test_nothing_harms_and_hardly_a_step_is_lost():
    """15 runs of 20 rounds in which no skill moves; a noisy verifier is no more than more changes."""
    lost = 0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        seen = [random_arms(rng, (0.2, 0.4, 0.6, 0.8), 40, 0.3)]
        best, since, settled = seen[0], 0, 1
        for look in range(1, 21):
            after = random_arms(rng, (0.2, 0.4, 0.6, 0.8), 40, 0.3)
            answer = decided(seen, after, best, look, look / 20).answer
            since += 1
            lost += since * (answer == "worse")
            best, since = (after, 0) if answer == "better" else (best, since if answer == "unclear" else 0)
            seen = [*seen, after] if answer != "worse" else seen[:settled]
            settled = len(seen) if answer == "better" else settled
    assert lost <= 0.1 * 15 * 20


def test_what_can_be_seen_and_what_that_takes_are_each_others_inverse():
    limit = found.NORMAL.inv_cdf(0.9) - found.NORMAL.inv_cdf(0.1 / 20 / 3 / 2 / 21)
    assert seq.needed(0.05, 21, 20) == math.ceil(0.75 * 0.0625 * (limit / 0.05) ** 2) == 513
    assert seq.visible(513, 21, 20) == pytest.approx(0.05, abs=1e-4)
    assert seq.needed(0.05, 1, 20) < seq.needed(0.05, 21, 20) < seq.needed(0.05, 21, 200)


def test_a_harm_of_that_size_is_seen_within_two_rounds():
    n = seq.needed(0.1, 4, 10)
    caught = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        seen = [random_arms(rng, (0.6,) * 4, n, 0.11) for _ in range(5)]
        for look in (5, 6):
            after = random_arms(rng, (0.5, 0.6, 0.6, 0.6), n, 0.11)
            if decided(seen, after, seen[0], look, look / 10).answer == "worse":
                caught += 1
                break
            seen.append(after)
    assert caught >= 33  # of 36 expected


def test_validation_is_exhausted_by_many_looks_that_gained_nothing():
    numbers = {"looks": 1.0, "standard_error": 0.02, "mean": 0.01}
    few, many = [Decision("better", "", numbers)], [Decision("better", "", numbers)] + [Decision("unclear", "", numbers)] * 30
    assert guard.exhausted(few) == (False, guard.exhausted(few)[1]) and "looked at 1 time;" in guard.exhausted(few)[1]
    tired, said = guard.exhausted(many)
    assert tired and "31 times" in said and "5.2 points" in said and "exhausted" in said
    assert guard.exhausted([Decision("better", "")]) is None
