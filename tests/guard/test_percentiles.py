"""A comparison by percentiles refuses what a mean would let pass."""

from sharpen import guard
from sharpen.core import Arm, Evaluation


def evaluation(*rates):
    return Evaluation({Arm("a", i): tuple(j < round(10 * r) for j in range(10)) for i, r in enumerate(rates)})


def test_by_hand():
    """Shares of the best known of two arms: 1/2 and 1 before, 1 and 1 after; no percentile fell and all below the top rose."""
    found = guard.percentiles(evaluation(0.4, 0.6), evaluation(0.8, 0.6))
    assert found.answer == "better" and abs(found.numbers["p50"] - 0.25) < 1e-9 and abs(found.numbers["p10"] - 0.45) < 1e-9


def test_peaks_do_not_pay_for_what_is_lost():
    even, peaked = evaluation(*[0.3] * 10), evaluation(*[0.0] * 4, *[0.9] * 6)
    assert guard.percentiles(even, peaked).numbers["mean"] > 0.2
    assert guard.percentiles(even, peaked).answer != "better" and guard.percentiles(peaked, even).answer != "worse"


def test_the_same_twice_and_nothing_at_all_are_unclear_and_slack_forgives():
    same, none = evaluation(0.5, 0.5), evaluation(0, 0)
    assert guard.percentiles(same, same).answer == "unclear" == guard.percentiles(none, none).answer
    worse = evaluation(0.4, 0.5)
    assert guard.percentiles(same, worse).answer == "worse" and guard.percentiles(same, worse, slack=0.5).answer == "unclear"
