"""The ratchet's decisions and its rate of false alarms; budgets and stopping."""

import inspect
import json
import math

import numpy as np
import pytest

from sharpen.core import ANSWERS, Arm, Decision, Evaluation, UserError
from sharpen.guard import acceptance, control
from sharpen.recipe import Recipe, call
from sharpen.recipes import catalog

ARMS = [Arm("sum", i) for i in range(1, 6)]


def evaluation(*right, n=40):
    """Per arm, the first so many of n tasks are solved."""
    return Evaluation({arm: tuple([True] * k + [False] * (n - k)) for arm, k in zip(ARMS, right)})


def test_a_rise_everywhere_is_accepted_with_its_numbers():
    found = acceptance.ratchet(evaluation(10, 20, 30), evaluation(14, 22, 30))
    assert found.accepted and "rose by 5.00%" in found.reason
    assert found.numbers["mean"] == pytest.approx((4 + 2) / 40 / 3)
    # sqrt(tasks that changed) / 40 for each arm; the mean's is the root of their squares' sum, over three arms.
    assert found.numbers["standard_error"] == pytest.approx(math.sqrt(4 + 2) / 40 / 3)
    assert found.numbers["tasks"] == 120 and found.numbers["arms"] == 3
    assert json.loads(json.dumps(dict(found.numbers))) == found.numbers


def test_an_arm_that_fell_is_named_although_the_mean_rose():
    found = acceptance.ratchet(evaluation(10, 10, 38), evaluation(30, 30, 20))
    assert not found.accepted and "sum/3 fell by 45.0%" in found.reason
    assert found.numbers["mean"] > 0.1 and found.numbers["worst"] == pytest.approx(-18 / 40)
    assert found.numbers["worst_z"] == pytest.approx(-math.sqrt(18)) and found.numbers["fallen"] == 1


def test_of_several_fallen_arms_the_deepest_is_named():
    found = acceptance.ratchet(evaluation(10, 30, 38, 0, 0), evaluation(10, 18, 20, 40, 40))
    assert "sum/3 fell by 45.0%" in found.reason and "1 other" in found.reason


def test_standing_still_and_falling_on_the_whole_are_rolled_back():
    same = acceptance.ratchet(evaluation(10, 20), evaluation(10, 20))
    assert not same.accepted and "+0.00%" in same.reason
    assert not acceptance.ratchet(evaluation(10, 20), evaluation(9, 20)).accepted
    assert acceptance.ratchet(evaluation(10, 20), evaluation(9, 20), gain=-0.02).accepted
    assert not acceptance.ratchet(evaluation(10, 20), evaluation(11, 20), gain=0.05).accepted


def test_arms_weigh_the_same_whatever_their_number_of_tasks():
    few, many = {ARMS[0]: (False, False)}, {ARMS[1]: (True,) * 100}
    after = {ARMS[0]: (True, True), ARMS[1]: (True,) * 97 + (False,) * 3}
    assert acceptance.ratchet(Evaluation(few | many), Evaluation(after)).numbers["mean"] == pytest.approx((1 - 0.03) / 2)


def test_a_fall_is_judged_against_tolerance_and_noise_by_hand():
    """n = 40. Lost 9 and gained 3 of 12 that changed: fell by 6/40 = 0.15, z = 6/sqrt(12) = 1.73. Lost 9 of 9: 0.225, z = 3."""

    def change(lost, gained):
        before = [True] * lost + [False] * gained + [True] * (40 - lost - gained)
        after = [False] * lost + [True] * gained + [True] * (40 - lost - gained)
        rise = {ARMS[1]: (False,) * 40}, {ARMS[1]: (True,) * 40}
        return Evaluation({ARMS[0]: tuple(before)} | rise[0]), Evaluation({ARMS[0]: tuple(after)} | rise[1])

    assert acceptance.ratchet(*change(9, 3)).accepted and not acceptance.ratchet(*change(9, 3), z=1.7).accepted
    assert not acceptance.ratchet(*change(9, 0)).accepted and acceptance.ratchet(*change(9, 0), z=3.01).accepted
    assert acceptance.ratchet(*change(9, 0), tolerance=0.23).accepted
    assert not acceptance.ratchet(*change(3, 0), z=0, tolerance=0.07).accepted  # 0.075


def rounds(trials, arms=25, n=40, lost=0.05, gained=0.05, fall=0.0, seed=0, judge=acceptance.ratchet):
    """Decisions on made-up rounds: in each arm tasks are lost and gained by chance, in some arms more than in others."""
    rng = np.random.default_rng(seed)
    names = [Arm("arm", i) for i in range(arms)]
    for _ in range(trials):
        scale = rng.uniform(0, 2, (arms, 1))
        p_lost = lost * scale
        if fall:
            p_lost[0], scale[0] = lost + fall, 1
        u = rng.random((arms, n))
        down, up = u < p_lost, u > 1 - gained * scale
        before, after = np.where(up, False, True), np.where(down, False, True)
        yield judge(Evaluation(dict(zip(names, before))), Evaluation(dict(zip(names, after))))


def test_noise_in_one_of_25_arms_does_not_roll_a_healthy_round_back():
    """The rates in the docstring: about 3 % where nothing changed on the whole, 1 % where every arm gained a point."""
    nothing = [d.numbers["fallen"] > 0 for d in rounds(600)]
    healthy = [d.numbers["fallen"] > 0 for d in rounds(600, lost=0.045, gained=0.055)]
    assert 0.003 < np.mean(nothing) < 0.06 and np.mean(healthy) < 0.04


def test_a_large_fall_of_one_arm_is_seen_although_all_others_rose():
    rolled_back = [not d.accepted and "arm/0" in d.reason for d in rounds(200, lost=0.04, gained=0.06, fall=0.4)]
    assert np.mean(rolled_back) > 0.85


def test_a_real_gain_of_two_points_passes():
    assert np.mean([d.accepted for d in rounds(300, lost=0.04, gained=0.06)]) > 0.92


@pytest.mark.parametrize("judge", [acceptance.ratchet, acceptance.evidence, acceptance.always])
def test_evaluations_that_do_not_pair_are_refused(judge):
    with pytest.raises(ValueError, match="differ in arms: sum/3"):
        judge(evaluation(1, 2, 3), evaluation(1, 2))
    with pytest.raises(ValueError, match="sum/1 has 40 before and 41 after"):
        judge(evaluation(1), evaluation(1, n=41))
    with pytest.raises(ValueError, match="no tasks"):
        judge(Evaluation({}), Evaluation({}))
    with pytest.raises(ValueError, match="no tasks"):
        judge(Evaluation({ARMS[0]: ()}), Evaluation({ARMS[0]: ()}))


def test_an_arm_without_tasks_is_passed_over():
    before = Evaluation({ARMS[0]: (False, True), ARMS[1]: ()})
    assert acceptance.ratchet(before, Evaluation({ARMS[0]: (True, True), ARMS[1]: ()})).numbers["mean"] == 0.5


def test_a_task_that_could_not_be_judged_is_no_fall():
    unjudged = Evaluation({ARMS[0]: (False, None, True, True), ARMS[1]: (None,)})
    changed = acceptance.ratchet(unjudged, Evaluation({ARMS[0]: (True, False, None, True), ARMS[1]: (True,)}))
    assert (changed.numbers["tasks"], changed.numbers["mean"]) == (2, 0.5)  # of two pairs, one newly solved
    assert (unjudged.n, unjudged.accuracy) == (3, pytest.approx(2 / 3))


def test_always_accepts_and_still_measures():
    found = acceptance.always(evaluation(40, 40), evaluation(0, 40))
    assert found.accepted and found.numbers["worst"] == -1 and found.numbers["mean"] == -0.5


def test_evidence_by_hand():
    """Two arms of 40 tasks; c changed tasks make the mean's standard error sqrt(c) / 80."""

    def judge(*after, **knobs):
        return acceptance.evidence(evaluation(10, 20), evaluation(*after), **knobs)

    assert judge(10, 20).answer == "unclear"  # nothing changed: no noise, and no gain either
    assert judge(14, 20).answer == "unclear" and judge(15, 20).answer == "better"  # z = 4 / sqrt(4) = 2, and 5 / sqrt(5)
    assert judge(14, 20, z=1.9).answer == "better"
    assert judge(8, 18).answer == "unclear" and judge(8, 17).answer == "worse"  # z = -2, -2.2, and no arm fell by 0.2
    assert judge(40, 10).answer == "worse" and "sum/2 fell by 25.0%" in judge(40, 10).reason  # although the mean rose by 25 %
    assert (
        judge(14, 20).numbers["standard_error"] == pytest.approx(2 / 80) and "within the 5.00% of noise" in judge(14, 20).reason
    )


def answers(trials, gain, changing=0.1):
    """Shares of better, unclear and worse among rounds of 25 arms with 32 tasks, whose true gain is this."""
    made = rounds(trials, n=32, lost=(changing - gain) / 2, gained=(changing + gain) / 2, judge=acceptance.evidence)
    found = [d.answer for d in made]
    return tuple(found.count(answer) / trials for answer in ANSWERS)


def test_evidence_seldom_claims_what_is_not_so():
    """Nothing changed: some 2 % of rounds make each claim, the normal tail beyond z = 2; arms that fall add 1 %."""
    better, unclear, worse = answers(1000, 0.0)
    assert 0.005 < better < 0.045 and 0.005 < worse < 0.065 and unclear > 0.9


def test_evidence_sees_what_is_there_and_never_its_contrary():
    better, _, worse = answers(300, 0.04)
    assert better > 0.85 and worse < 0.02
    better, _, worse = answers(300, -0.04)
    assert better == 0 and worse > 0.85


def guards():
    """Every function of the guards' file, and what the recipes have in that slot."""
    own = {f for _, f in inspect.getmembers(acceptance, inspect.isfunction) if f.__module__ == acceptance.__name__}
    public = {f for f in own if not f.__name__.startswith("_")}
    built = [catalog.load(info).recipe() for info in catalog.recipes()]
    recipes = [one for made in built for one in ([made] if isinstance(made, Recipe) else [s.recipe for s in made.stages])]
    used = {getattr(made.guard, "func", made.guard) for made in recipes}
    return sorted(public | used, key=lambda f: f.__name__)


def asked(judge, before, after):
    """Its answer to a first round, with what it may ask for by name."""
    first = dict(evaluations=[before], retained=[], looks=1, progress=0.1)
    return call(judge, before, after, **first)


@pytest.mark.parametrize("judge", guards(), ids=lambda f: f.__name__)
def test_every_guard_keeps_to_the_contract(judge):
    """An answer of three, a reason in words, finite numbers that JSON holds; a pure function, whatever the order of the arms;
    and nothing that lost every task is ever better than before, but for the guard that says it keeps everything."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        n, rate = int(rng.integers(1, 30)), rng.random(2)
        pair = [{arm: tuple((rng.random(n) < r).tolist()) for arm in ARMS} for r in rate]
        found = asked(judge, *map(Evaluation, pair))
        assert found.answer in ANSWERS and found.reason and found.accepted == (found.answer == "better")
        assert json.loads(json.dumps(dict(found.numbers), allow_nan=False)) == found.numbers
        again = asked(judge, *(Evaluation(dict(reversed(e.items()))) for e in pair))
        assert again == found
    lost = asked(judge, evaluation(40, 40, 40), evaluation(0, 0, 0))
    assert lost.answer == ("better" if judge is acceptance.always else "worse")


def test_an_answer_that_is_none_is_refused():
    with pytest.raises(ValueError, match="answer True is none of better, unclear, worse"):
        Decision(True, "because")


# ----------------------------------------------------------------------------------------------------------------- control


@pytest.mark.parametrize(
    "text, kind, amount",
    [
        ("600s", "seconds", 600),
        ("10m", "seconds", 600),
        ("2h", "seconds", 7200),
        ("1.5h", "seconds", 5400),
        ("40steps", "steps", 40),
        (" 40 Steps ", "steps", 40),
        ("500tokens", "tokens", 500),
        ("200ktokens", "tokens", 200_000),
        ("1.5 Mtokens", "tokens", 1_500_000),
        ("10m loop", "loop seconds", 600),
        ("90s Loop", "loop seconds", 90),
    ],
)
def test_budgets(text, kind, amount):
    assert control.parse_budget(text) == control.Budget(kind, amount)


@pytest.mark.parametrize(
    "text, says",
    [
        ("0", "above 0"),
        ("0s", "above 0"),
        ("0.0h", "above 0"),
        ("-5m", "above 0"),
        ("-1steps", "above 0"),
        ("600", "has no unit. Did you mean 600steps, 600s or 600m. Write it as"),
        ("10min", "Did you mean 10m"),
        ("1step", "Did you mean 1steps"),
        ("40stesp", "Did you mean 40steps"),
        ("2hours", "Did you mean 2h"),
        ("3hous", "Did you mean 3h"),
        ("2Mtoks", "Did you mean 2mtokens"),
        ("2million", "unknown unit"),
        ("10m40steps", "not a number and a unit"),
        ("40steps loop", "only a time"),
        ("10m loops", "not a number and a unit"),
        ("0ktokens", "above 0"),
        ("5parsecs", "unknown unit 'parsecs'"),
        ("0.5steps", "steps are whole"),
        ("", "not a number and a unit"),
        ("soon", "not a number and a unit"),
        ("nans", "not a number and a unit"),
        ("1e9s", "not a number and a unit"),
        ("10m\n20m", "not a number and a unit"),
        ("٣s", "not a number and a unit"),
        ("9" * 5000 + "s", "not a number and a unit"),
    ],
)
def test_budgets_that_are_none(text, says):
    with pytest.raises(UserError, match=says) as error:
        control.parse_budget(text)
    assert "Write it as 600s" in str(error.value) or "steps are whole" in says
    assert len(str(error.value)) < 200


def history(*accuracies):
    """Rounds with these accuracies; None is one that was rolled back, at an accuracy it did not keep."""
    return [dict(round=i, accepted=a is not None, accuracy=0.99 if a is None else a) for i, a in enumerate(accuracies)]


def test_never_stops():
    assert control.never(history(*[0.5] * 100)) is None


def test_plateau():
    rising = history(0.1, 0.2, 0.3, 0.4, 0.5)
    assert control.plateau(rising, patience=2) is None
    assert control.plateau([], patience=1) is None
    flat = history(0.1, 0.5, 0.5, 0.502)
    assert "50.2%" in control.plateau(flat, patience=2) and "50.0%" in control.plateau(flat, patience=2)
    assert control.plateau(flat, patience=4) is None  # not within the first rounds
    assert control.plateau(flat, patience=2, min_gain=0.001) is None


def test_plateau_counts_a_round_that_was_rolled_back_as_no_gain():
    assert "none of the last 2" in control.plateau(history(0.1, 0.5, None, None), patience=2)
    assert control.plateau(history(0.1, None, 0.5, None), patience=2) is None
    assert control.plateau(history(None, None, 0.5), patience=2) is None  # the first success is a gain
    with pytest.raises(UserError, match="at least 1"):
        control.plateau([], patience=0)
