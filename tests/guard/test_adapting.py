"""Numbers that follow a run: by hand, and towards the better temperature where one is better."""

from __future__ import annotations

import random

import pytest

from sharpen.guard import adapting
from sharpen.guard.adapting import STEP, Choice, Heat, balance, heat, rate


def rounds(answers: str) -> list[dict]:
    names = {"b": "better", "u": "unclear", "w": "worse"}
    return [{"round": i, "answer": names[letter]} for i, letter in enumerate(answers)]


def test_the_balance_score_by_hand():
    half = [("a", True), ("b", True), ("c", False), ("d", False)]  # two unlike of 4 * TARGET, half right: 1 * 1/2
    same = [("a", True), ("a", True), ("a", True), ("a", True)]  # one unlike of two, all right: 1/2 * 1
    none = [("a", False)] * 4
    assert balance([half]) == 0.5 and balance([same]) == 0.5 and balance([none]) == 0.0
    assert balance([[("a", True), ("b", True), ("c", True), ("d", True)]]) == 1.0
    assert balance([half, none]) == 0.25 and balance([]) is None and balance([[("a", True)]]) == 1.0


def test_harm_halves_the_rate_down_to_an_eighth():
    assert rate(0.8, rounds("bub")) == (0.8, [])
    value, made = rate(0.8, rounds("bwbwwww"))
    assert value == pytest.approx(0.1)
    assert made[0] == Choice(1, "lr", 0.8, 0.4, "round 1 was worse") and [c.round for c in made] == [1, 3, 4]


def played(start: float, best: float, noise: float, seed: int, number: int = 12, steps: int = 8):
    """Rounds of steps whose balance falls off from the best temperature; what is in use after them."""
    rng, made = random.Random(seed), []
    for this in range(1, number + 1):
        now, _ = heat(start, made, this)
        for step in range(steps):
            at = now.at(step)
            made.append({"round": this, "temperature": at, "balance": 0.5 - abs(at - best) + rng.gauss(0, noise)})
    return heat(start, made, number + 1)


@pytest.mark.parametrize("best", [0.6, 1.0, 1.25])
def test_the_temperature_goes_where_the_balance_is(best):
    found, made = played(1.0, best, 0.01, 0)
    assert abs(found.used - best) < best * (STEP - 1)
    assert all(c.name == "temperature" and "balance score" in c.reason for c in made)


def test_noise_alone_moves_it_little_and_never_beyond_the_bounds():
    ends = [played(1.0, 1.0, 0.5, seed)[0].used for seed in range(12)]
    assert 0.75 < sum(ends) / len(ends) < 1.15 and all(adapting.LOWEST <= t <= adapting.HIGHEST for t in ends)
    assert played(2.0, 3.0, 0.01, 0)[0] == Heat(2.0, 2.0 / STEP) or played(2.0, 3.0, 0.01, 0)[0].used == 2.0


def test_too_few_steps_decide_nothing():
    few = [{"round": 1, "temperature": t, "balance": b} for t, b in ((1.0, 0.1), (1.15, 0.9)) for _ in range(2)]
    assert heat(1.0, few, 2) == (Heat(1.0, 1.15), [])
    assert heat(1.0, [{"round": 1, "temperature": 1.0}], 2) == (Heat(1.0, 1.15), [])  # nothing was measured
