"""Experiments that share a run: no interaction is claimed where there is none, a planted one is, and exposure settles."""

from __future__ import annotations

import numpy as np
import pytest

from sharpen.compare import factorial

NAMES = "abcdef"


def matrix(rng, planted=0.0, seeds=5):
    none = {n: rng.normal(0.5, 0.02, seeds) for n in NAMES}
    alone = {c: {o: rng.normal(0.5, 0.02, seeds) + (planted if (c, o) == ("a", "b") else 0) for o in NAMES} for c in NAMES}
    return factorial.interactions(alone, none)


def test_without_any_interaction_one_is_claimed_in_one_run_of_twenty_at_most():
    rng = np.random.default_rng(0)
    claimed = sum(any(i.shown for i in matrix(rng)) for _ in range(60))
    assert claimed <= 6 and len(matrix(rng)) == 30


def test_a_planted_interaction_is_flagged():
    rng = np.random.default_rng(1)
    found = [matrix(rng, 0.4)[0] for _ in range(20)]
    assert sum((i.cause, i.of, i.shown) == ("a", "b", True) for i in found) >= 18


def test_a_joint_run_that_agrees_is_told_from_one_that_does_not():
    rng = np.random.default_rng(2)
    alone = {n: rng.normal(0.5, 0.01, 6) for n in NAMES}
    together = {n: v + rng.normal(0, 0.01, 6) + (0.3 if n == "c" else 0) for n, v in alone.items()}
    found = factorial.joint(alone, together)
    assert found["c"] < 0.01 and min(p for n, p in found.items() if n != "c") > 0.05
    with pytest.raises(ValueError, match="paired"):
        factorial.tested([1.0], [1.0])


def test_exposure_converges_below_two_and_overshoots_above_one():
    def play(gain, slope=0.5, steps=60):
        f, seen = 0.0, []
        for _ in range(steps):
            f = factorial.exposure(f, slope * f, 0.08, gain)
            seen.append(slope * f)
        return np.array(seen)

    smooth, damped, wild = play(1.0), play(3.0), play(4.4)
    assert abs(smooth[-1] - 0.08) < 1e-6 and (np.diff(smooth) >= -1e-12).all()
    assert abs(damped[-1] - 0.08) < 1e-3 and damped.max() > 0.081
    assert abs(wild[-1] - 0.08) > 0.01 or abs(wild[-2] - 0.08) > 0.01


def test_what_two_changes_do_together_is_set_against_what_each_does_alone():
    """By hand: alone +0.1 and +0.2, together +0.1, so 0.2 less than their sum, in each of three seeds; noise of 0.001."""
    made = {"": frozenset[str](), "a": frozenset({"lr=1"}), "b": frozenset({"top_p=1"}), "ab": frozenset({"lr=1", "top_p=1"})}
    named = {name: ("grpo", settings) for name, settings in made.items()}
    values = {"": [0.3, 0.4, 0.5], "a": [0.4, 0.5, 0.6], "b": [0.5, 0.6, 0.7], "ab": [0.401, 0.5, 0.599]}
    (found,) = factorial.crossings(named, values)
    assert {found.one, found.other} == {"a", "b"} and found.both == "ab" and found.together == pytest.approx(-0.2)
    assert found.p < 0.001 and "-20.0 points" in found.says and found.says.endswith("they interact.")
    added = {**values, "ab": [0.62, 0.69, 0.79]}  # +0.3, give or take
    (found,) = factorial.crossings(named, added)
    assert found.p > 0.05 and found.says.endswith("no interaction is shown.")
    assert factorial.crossings({**named, "b": ("rloo", made["b"])}, values) == []  # of two recipes nothing is crossed
    assert factorial.crossings(named, {**values, "": [0.3]}) == []
