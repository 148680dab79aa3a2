"""Analytic heads forget nothing, and errors that were remembered put a slow estimate right."""

import numpy as np
import pytest

from sharpen.core import UserError
from sharpen.curriculum import analytic, error_memory, testbed
from sharpen.curriculum.ridge import balanced, compensated, learn, solved


def test_any_order_and_any_batches_are_the_joint_ridge():
    rng = np.random.default_rng(0)
    rows, wanted = rng.normal(size=(40, 6)), rng.normal(size=(40, 2))
    state = solved(6, 2, 0.5)
    for part in np.array_split(rng.permutation(40), [1, 4, 20, 21]):
        learn(state, rows[part], wanted[part])
    joint = np.linalg.solve(rows.T @ rows + 0.5 * np.eye(6), rows.T @ wanted)
    assert np.abs(state["head"] - joint).max() < 1e-11
    assert np.abs(state["inverse"] - np.linalg.inv(rows.T @ rows + 0.5 * np.eye(6))).max() < 1e-11


def test_pseudo_features_balance_an_answer_and_leave_the_head_alone():
    """Nine rows of one class to one of the other: balanced, the rare one is told as well."""
    rng = np.random.default_rng(1)
    often, rare = rng.normal([1, 0, 0], 0.3, (180, 3)), rng.normal([0.6, 0.6, 0], 0.3, (20, 3))
    state = solved(3, 2, 0.1)
    for c, rows in enumerate((often, rare)):
        learn(state, rows, np.tile(np.eye(2)[c], (len(rows), 1)))
    before = state["head"].copy()
    moments = [np.array([part(rows) for rows in (often, rare)]) for part in (lambda r: r.mean(0), lambda r: (r**2).mean(0))]
    head = balanced(state, np.array([180, 20]), *moments, rng)
    told = [((rare @ h).argmax(1) == 1).mean() for h in (before, head)]
    assert np.array_equal(state["head"], before) and told[1] > told[0] + 0.2


def test_a_memory_is_a_nearest_neighbour_between_the_slow_estimate_and_what_was_seen():
    keys = np.eye(3)
    outcomes, bases = np.array([1.0, 0.0, 0.5]), np.array([0.5, 0.5, 0.5])
    assert compensated(keys, outcomes, bases, keys[0], 0.2, weight=0.25, top=1) == pytest.approx(0.75 * 0.2 + 0.25 * 1.0)
    assert compensated(keys, outcomes, bases, keys[0], 0.2, weight=1.0, top=1, gamma=0.0) == pytest.approx(0.2 + 0.5)
    assert compensated(keys[:0], outcomes[:0], bases[:0], keys[0], 0.2) == 0.2
    assert compensated(keys, outcomes, bases, keys[0], 0.9, weight=9.0, top=1) == 1.0


@pytest.mark.parametrize("chooses", [analytic, error_memory])
def test_they_choose_as_many_rollouts_as_asked_for_and_complain_of_knobs(chooses):
    trace = testbed.run(chooses, testbed.Bandit(tasks=12), steps=5, prompts=4, samples=3)
    assert all(sum(n for _, n in choices) == 12 for choices in trace.chosen)
    with pytest.raises(UserError, match="candidates"):
        chooses({}, (), 1, 1, np.random.default_rng(0), candidates=0, attempts=None, kept={})
