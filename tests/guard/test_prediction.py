"""Where a curve will end: shapes, intervals, when a run stops by it, and what it is worth on curves that were recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

from sharpen.core import UserError
from sharpen.guard import prediction

CURVES = Path(__file__).parents[2] / "bench" / "results" / "curves.json"


def rounds(accuracies, n=1000, worse=()):
    said = [("worse" if i in worse else "better" if i == 0 else "unclear") for i in range(len(accuracies))]
    return [
        {"round": i, "answer": a, "accepted": a == "better", "accuracy": y, "n": n}
        for i, (a, y) in enumerate(zip(said, accuracies))
    ]


def curve(end, rate, rounds=21, start=0.2):
    x = np.linspace(0, 1, rounds)
    return start + (end - start) * (1 - np.exp(-rate * x))


def test_a_flat_curve_stays_and_a_line_goes_on():
    x = np.linspace(0, 0.5, 11)
    flat, line = (prediction.expected(x, y, [1000] * 11) for y in (np.full(11, 0.4), 0.2 + 0.4 * x))
    assert flat.value == pytest.approx(0.4, abs=0.02) and flat.low < 0.4 < flat.high
    assert line.value > 0.47 and line.low > 0.4 and line.high >= 0.6


def test_a_curve_that_comes_to_rest_is_not_drawn_out_to_a_line():
    y = curve(0.5, 8)[:11]
    found = prediction.expected(np.linspace(0, 0.5, 11), y, [1000] * 11)
    assert found.low < 0.5 < found.high < 0.58


def test_less_is_known_early_and_of_fewer_tasks():
    y, x = curve(0.5, 4), np.linspace(0, 1, 21)
    width = lambda k, n: (lambda e: e.high - e.low)(prediction.expected(x[:k], y[:k], [n] * k))  # noqa: E731
    assert width(6, 1000) > width(11, 1000) > width(19, 1000) and width(11, 50) > width(11, 1000)


def test_nothing_is_predicted_of_few_rounds_and_a_prediction_stays_a_share():
    assert prediction.expected([0, 0.1, 0.2], [0.1, 0.2, 0.3], [10] * 3) is None
    assert prediction.expected([0.1] * 5, [0.3] * 5, [10] * 5) is None
    for level in (0.0, 1.0):
        found = prediction.expected(np.linspace(0, 0.5, 6), [level] * 6, [40] * 6)
        assert 0 <= found.low <= found.value <= found.high <= 1
    assert prediction.of_rounds(rounds([0.2] * 9), 1.0) is None and prediction.of_rounds(rounds([0.2]), 0.1) is None


def test_rounds_that_were_taken_back_do_not_count():
    steady = rounds([0.4] * 9)
    harmed = rounds([0.4] * 4 + [0.1] + [0.4] * 4, worse=(4,))
    assert prediction.of_rounds(harmed, 0.5).value == pytest.approx(prediction.of_rounds(steady, 0.5).value, abs=0.01)


def test_a_run_stops_where_the_rest_will_hardly_gain_and_goes_on_where_it_may():
    rested, rising = rounds(curve(0.5, 30)[:15]), rounds(curve(0.6, 1)[:15])
    said = prediction.predicted(rested, worth=0.08, progress=0.7)
    assert said and said.startswith("expected at the end: 5") and "8.0 points" in said
    assert prediction.predicted(rising, worth=0.08, progress=0.7) is None
    assert prediction.predicted(rested, worth=0.001, progress=0.7) is None  # not as closely known
    assert prediction.predicted(rested[:3], worth=0.5, progress=0.1) is None
    with pytest.raises(UserError):
        prediction.predicted(rested, worth=-1, progress=0.5)


def test_a_mixture_is_read_at_its_quantiles():
    """Half of it at 0, half at 1: a quarter is below the first one's median."""
    parts = [(0.5, 0.0, 0.1), (0.5, 1.0, 0.1)]
    assert prediction.quantile(parts, 0.25) == pytest.approx(0.0, abs=1e-3)
    assert prediction.quantile(parts, 0.75) == pytest.approx(1.0, abs=1e-3)
    assert prediction.Expected(0.5, 0, 1, tuple(parts)).above(0.5) == pytest.approx(0.5)


def test_half_way_the_interval_covers_where_recorded_runs_ended():
    curves = json.loads(CURVES.read_text())
    hit = 0
    for one in curves:
        y = one["accuracy"]
        half = len(y) // 2 + 1
        found = prediction.expected(np.arange(half) / (len(y) - 1), y[:half], [one["n"]] * half)
        hit += found.low <= y[-1] <= found.high
    assert len(curves) >= 40 and hit >= 0.85 * len(curves)
