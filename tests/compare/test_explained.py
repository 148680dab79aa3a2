"""What share of a gain a control explains: by hand, and as often right as it says."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from sharpen.compare import controls, paired, runner
from sharpen.core import Arm, Evaluation

X, Y = Arm("x", 1), Arm("y", 1)


def of(*solved: float) -> paired.Scores:
    return {X: np.array(solved, dtype=float)}


def test_half_of_a_gain_by_hand():
    start, half, whole = of(*[0] * 100), of(*[1] * 30, *[0] * 70), of(*[1] * 60, *[0] * 40)
    found = paired.share_of_gain([(start, whole)], [(start, half)])
    # x = 0.3, y = 0.6; of 102^2 parts the spread has 31, 30 and 61: (x - r y)^2 = z^2 (31 - 2 r 30 + r^2 61) / 102^2.
    z = 1.959964**2 / 102**2
    a, b, c = 0.36 - z * 61, 0.18 - z * 30, 0.09 - z * 31
    root = np.sqrt(b * b - a * c)
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx(((b - root) / a, (b + root) / a), rel=1e-5)


def test_of_a_gain_that_is_not_shown_there_is_no_share():
    start, luck = of(*[0] * 10), of(1, 1, *[0] * 8)
    assert paired.share_of_gain([(start, luck)], [(start, start)]) is None
    assert paired.share_of_gain([(luck, start)], [(luck, luck)]) is None  # and none of a loss
    with pytest.raises(ValueError, match="cannot be paired"):
        paired.share_of_gain([(start, luck)], [])


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Three seeds, whole gain 0.3, part of it 0.12: both have luck of training. At least 95 %, and not always."""
    rng, held, known = np.random.default_rng(0), 0, 0
    for _ in range(200):
        pairs = []
        for gain in (0.3, 0.12):
            runs = []
            for _ in range(3):
                before = rng.random(400) < 0.3
                after = np.where(before, rng.random(400) < 0.9, rng.random(400) < (gain + 0.03 + rng.normal(0, 0.02)) / 0.7)
                runs.append(({X: before.astype(float)}, {X: after.astype(float)}))
            pairs.append(runs)
        if found := paired.share_of_gain(*pairs):
            known, held = known + 1, held + (found.low <= 0.4 <= found.high)
    assert known > 190 and held / known >= 0.93


@pytest.fixture
def echo(tmp_path) -> str:
    path = tmp_path / "echo.jsonl"
    words = ["".join(w) for n in (1, 2) for w in itertools.product("abc", repeat=n)]
    path.write_text("".join(json.dumps({"prompt": f"Echo {w}", "answer": w, "family": "echo"}) + "\n" for w in words))
    return str(path)


def test_a_plan_gets_the_controls_that_there_are_and_says_which_there_are_not(echo):
    _, plan = runner.plan(["quickstart", "grpo"], "4steps", 1, None, echo, ["student=micro"], None)
    made, left = controls.added(plan)
    assert [c.name for c in made.contenders][:6] == ["quickstart", *(f"quickstart [{name}]" for name in controls.WHAT)]
    assert [c.as_control for c in made.contenders if c.recipe == "grpo"] == ["", "untrained", "solutions", "shuffled", "prompt"]
    assert len(left) == 1 and "grpo is without its control even" in left[0] and "every arm alike" in left[0]
    assert controls.missing(made) == left and controls.missing(plan) == []
    assert controls.beside(None, plan)[0] != runner.place(plan)
    request = runner.request(made, made.contenders[4], 0, runner.place(made))
    assert request.as_control == "shuffled" and "--as-control" in request.argv


def test_a_share_is_told_in_words():
    start, end = Evaluation({X: (False,) * 50}), Evaluation({X: (True,) * 50})
    found = controls.explained("quickstart", "even", [(start, end)], [(start, end)])
    assert found["value"] == 1 and found["says"].startswith("even practice explains 100 % of the gain of quickstart (")
    nothing = controls.explained("quickstart", "even", [(start, start)], [(start, end)])
    assert (
        nothing["ci95"] is None
        and nothing["says"] == "even practice: no share can be named, for no gain of quickstart is shown"
    )
