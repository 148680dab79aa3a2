"""What is recovered of a gap, on which axis, by what deceit; and a sweep whose bad runs end early."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sharpen.compare import gaps, halving
from sharpen.core import UserError


def solved(share, n=200):
    return [i < share * n for i in range(n)]


def test_a_gap_by_hand_with_an_interval_that_narrows():
    few, many = (gaps.gap(solved(0.4, n), solved(0.7, n), solved(0.9, n)) for n in (50, 400))
    assert few.value == pytest.approx(0.6) == many.value and few.n == 50
    assert few.low < many.low < 0.6 < many.high < few.high
    assert (
        gaps.gap(solved(0.4), solved(0.4), solved(0.9)).value == 0
        and gaps.gap(solved(0.4), solved(0.9), solved(0.9)).value == 1
    )
    assert gaps.gap(solved(0.4), solved(0.3), solved(0.9)).value < 0


def test_supervisors_that_are_always_right_or_always_wrong():
    assert gaps.gap(solved(1), solved(1), solved(1)) is None and "always right" in gaps.why_none(solved(1), solved(1))
    assert gaps.gap(solved(0.5), solved(0.6), solved(0.5)) is None and "not above" in gaps.why_none(solved(0.5), solved(0.5))
    wrong = gaps.gap(solved(0), solved(0.2), solved(0.8))
    assert wrong.value == pytest.approx(0.25) and gaps.why_none(solved(0), solved(0.8)) == ""
    barely = gaps.gap([i == 0 for i in range(50)], solved(0.5, 50), [i in (1, 2) for i in range(50)])
    assert math.isinf(barely.low) and math.isinf(barely.high)
    for bad in (([], [], []), ([True], [True, False], [True])):
        with pytest.raises(ValueError):
            gaps.gap(*bad)


def test_an_axis_that_fell_is_named_and_not_averaged_away():
    weak, ceiling = dict(safe=solved(0.8), helpful=solved(0.5)), dict(safe=solved(1), helpful=solved(0.9))
    student, start = dict(safe=solved(0.95), helpful=solved(0.4)), dict(safe=solved(0.6), helpful=solved(0.6))
    found = gaps.by_axis(weak, student, ceiling, start)
    assert found["safe"].gap.value == pytest.approx(0.75) and not found["safe"].fell
    assert found["helpful"].gap.value == pytest.approx(-0.25) and found["helpful"].fell


def test_errors_that_do_not_look_have_the_base_rate_and_deceit_has_more():
    rng, n = np.random.default_rng(0), 20_000
    strong, weak = rng.random(n) < 0.9, rng.random(n) < 0.6
    blind = np.where(rng.random(n) < 0.2, False, strong)
    assert gaps.deception(strong, blind, strong, weak).ratio == pytest.approx(1.0, abs=0.05)
    deceit = strong & ~(~weak & (rng.random(n) < 0.5))
    found = gaps.deception(strong, deceit, strong, weak)
    assert found.score == 1.0 and found.base == pytest.approx(0.4, abs=0.02) and found.ratio > 2.3
    nothing = gaps.deception(strong, strong, strong, weak)
    assert math.isnan(gaps.deception([], [], [], []).score)
    assert nothing.tax == 0 and math.isnan(nothing.score)


def test_low_norm_and_high_loss_go_on():
    found = halving.signs({"a": halving.Early(1.0, 3.0), "b": halving.Early(2.0, 1.0), "c": halving.Early(2.0, 1.0)})
    assert found == {"a": -2.0, "b": 1.0, "c": 1.0}  # of b and c both ranks are shared
    early = {"noisy": halving.Early(5.0, 1.0), "calm": halving.Early(1.0, 2.0), "middle": halving.Early(3.0, 1.5)}
    assert halving.survivors(early, 0.34) == ["calm"] and halving.survivors(early, 0.34, inverted=True) == ["noisy"]
    with pytest.raises(UserError, match="share"):
        halving.survivors(early, 0.0)
    with pytest.raises(ValueError, match="finite"):
        halving.signs({"a": halving.Early(math.nan, 1.0)})


def test_a_sweep_ends_bad_runs_early_and_costs_what_it_ran():
    norm = dict(best=1.0, fair=2.0, poor=3.0, worst=4.0)
    final = dict(best=0.9, fair=0.8, poor=0.5, worst=0.2)
    looked = []

    def look(name, steps):
        looked.append((name, steps))
        return halving.Early(norm[name], 1.0)

    found = halving.sweep(list(norm), look, final.__getitem__, (10, 20), 100)
    assert found.best == "best" and found.ended == {"poor": 10, "worst": 10, "fair": 20} and list(found.scores) == ["best"]
    assert found.cost == pytest.approx((4 * 10 + 2 * 10 + 80) / 400) and len(looked) == 6
    assert halving.sweep(list(norm), look, final.__getitem__, (), 100).cost == 1.0
    worst = halving.sweep(list(norm), look, final.__getitem__, (10, 20), 100, inverted=True)
    assert worst.best == "worst"
    for bad in ((20, 10), (100,), (0,)):
        with pytest.raises(UserError, match="rungs"):
            halving.sweep(["a"], look, final.__getitem__, bad, 100)
