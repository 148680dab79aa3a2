"""Numbers of continual learning: three tasks by hand, the identities among them, and the stability gap without noise."""

import math

import numpy as np
import pytest

from sharpen.guard import forgetting as f

# After each of three tasks, the accuracy on each; before, it was 0.1 on all.
A = np.array([[0.8, 0.2, 0.1], [0.5, 0.9, 0.3], [0.6, 0.4, 0.7]])
# The same with a moment in the midst of the second and of the third task.
CURVE = np.array([[0.1, 0.1, 0.1], A[0], [0.3, 0.5, 0.2], A[1], [0.2, 0.6, 0.5], A[2]])
ENDS = [1, 3, 5]


def test_the_matrix_by_hand():
    assert f.average(A) == pytest.approx((0.6 + 0.4 + 0.7) / 3)
    assert f.incremental(A) == pytest.approx((0.8 + 0.7 + (0.6 + 0.4 + 0.7) / 3) / 3)
    assert f.forgetting(A) == pytest.approx(((0.8 - 0.6) + (0.9 - 0.4)) / 2)
    assert f.backward_transfer(A) == pytest.approx(((0.6 - 0.8) + (0.4 - 0.9)) / 2)
    assert f.forward_transfer(A, [0.1] * 3) == pytest.approx(((0.2 - 0.1) + (0.3 - 0.1)) / 2)
    assert f.intransigence(A, [0.9, 0.9, 0.9]) == pytest.approx((0.1 + 0.0 + 0.2) / 3)


def test_forgetting_is_never_below_minus_backward_transfer():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a = rng.random((4, 4))
        assert f.forgetting(a) >= -f.backward_transfer(a) - 1e-12
        for j in range(4):
            a[j, j] = 1.0  # best right after it was learnt
        assert f.forgetting(a) == pytest.approx(-f.backward_transfer(a))


def test_the_last_task_never_enters_what_was_forgotten():
    other = A.copy()
    other[2, 2] = 0.0
    assert f.forgetting(other) == f.forgetting(A) and f.backward_transfer(other) == f.backward_transfer(A)


def test_within_tasks_by_hand():
    assert f.least(CURVE, ENDS) == pytest.approx((0.2 + 0.4) / 2)
    assert f.worst_case(CURVE, ENDS) == pytest.approx(0.7 / 3 + 2 / 3 * 0.3)
    # Task 1 in stage 2: 0.8, 0.3, 0.5, a dip of 0.2 below the end; in stage 3: 0.5, 0.2, 0.6, of 0.3; task 2 there: 0.9, 0.6,
    # 0.4.
    assert f.stability_gap(CURVE, ENDS) == pytest.approx((0.2 + 0.3 + 0.0) / 3)
    assert f.stability_gap(A, [0, 1, 2]) == 0  # measured only at the ends, there is none
    assert f.windowed(CURVE, 2) == pytest.approx((0.5 + 0.3 + 0.0) / 3)
    assert f.windowed(CURVE, 2, rise=True) == pytest.approx((0.7 + 0.4 + 0.2) / 3)


def test_worst_case_is_never_above_the_average_and_denser_measurement_never_raises_it():
    rng = np.random.default_rng(1)
    curve, ends = rng.random((30, 3)), [9, 19, 29]
    assert f.worst_case(curve, ends) <= f.average(curve[ends]) + 1e-12
    sparse = curve[[0, 9, 14, 19, 24, 29]]
    assert f.worst_case(curve, ends) <= f.worst_case(sparse, [1, 3, 5])


def test_one_task_has_nothing_to_forget():
    assert f.average([[0.5]]) == f.worst_case([[0.1], [0.5]], [1]) == 0.5
    found = f.summary([[0.1], [0.5]], [1])
    assert all(math.isnan(found[n]) for n in ("forgetting", "backward_transfer", "stability_gap", "maintenance", "recovery"))
    with pytest.raises(ValueError, match="a row and a column for each task"):
        f.average([[0.1, 0.2]])


def test_a_gap_needs_no_noise_and_no_limited_memory():
    """Gradient descent on the sum of two quadratics from the optimum of the first: its loss peaks at 0.343 and ends at
    0.091.
    """
    first, second = np.array([[5, 4.9], [4.9, 5]]), np.diag([0.1, 6])
    x, losses = np.zeros(2), [0.0]
    for _ in range(400):
        x = x - 0.05 * (first @ x + second @ (x - 1))
        losses.append(float(x @ first @ x) / 2)
    assert max(losses) == pytest.approx(0.343, abs=2e-3) and losses[-1] == pytest.approx(0.091, abs=2e-3)
    curve = np.array([[1 - loss, 0.0] for loss in losses])
    assert f.stability_gap(curve, [0, len(losses) - 1]) == pytest.approx(0.343 - 0.091, abs=4e-3)


def test_l2m_by_hand():
    assert f.contrast(0.25, 0.75) == -f.contrast(0.75, 0.25) == 0.5 and f.contrast(0, 0) == 0
    assert f.relative([0.1, 0.4], [0.1, 0.4, 0.9]) == 1 and math.isnan(f.relative([0.1], [0.0]))
    assert f.sample_efficiency([0.1, 0.5, 0.5], [0.1, 0.5, 0.5]) == 1
    assert f.saturation([0.0, 0.6, 0.9, 0.9], window=2) == (0.9, 4)
    assert f.sample_efficiency([0.0, 0.45, 0.45, 0.45], [0.0, 0.9, 0.9, 0.9], window=1) == pytest.approx(0.5)
    assert f.sample_efficiency([0.0, 0.1], [0.0, 0.9]) == 0 == f.sample_efficiency([0.9, 0.1], [0.0, 0.9])
    # Later evaluations of task 1: 0.3, 0.5, 0.2, 0.6 after 0.8; of task 2: 0.6, 0.4 after 0.9.
    assert f.maintenance(CURVE, ENDS) == pytest.approx((-0.5 - 0.3 - 0.6 - 0.2 - 0.3 - 0.5) / 6)
    both = f.transfer(A, [0, 1, 2])
    assert both["backward"] == pytest.approx((f.contrast(0.8, 0.5) + f.contrast(0.5, 0.6) + f.contrast(0.9, 0.4)) / 3)
    assert f.recovery_times([0.8, 0.3, 0.6, 0.8, 0.9, 0.5, 0.9, 0.9], [0, 4]) == [3.0, 2.0]
    assert f.recovery([3.0, 2.0, 1.0]) == 1.0 and math.isnan(f.recovery([3.0]))


def test_two_phases_do_not_flatter():
    """Of settings that are all alike the best of ten looks better where it was chosen, and is not."""
    rng = np.random.default_rng(2)
    gaps = []
    for _ in range(200):
        tuned, judged = ({str(i): [0.5 + 0.1 * rng.normal()] for i in range(10)} for _ in range(2))
        _, there, here = f.two_phases(tuned, judged)
        gaps.append(there - 0.5)
        assert here == judged[max(tuned, key=lambda k: tuned[k])][0]
    assert np.mean(gaps) == pytest.approx(0.154, abs=0.02)  # 0.1 times the expected largest of ten normal numbers
    with pytest.raises(ValueError, match="was not judged"):
        f.two_phases({"a": [1.0]}, {})
