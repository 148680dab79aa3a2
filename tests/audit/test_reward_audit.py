"""Audits of learnt rewards: figures by hand, hackers that are what they claim, and rewards that fall for one each."""

from __future__ import annotations

import numpy as np
import pytest

from sharpen.audit import learnt, split_point
from sharpen.core import Task
from sharpen.guard import doctor
from sharpen.verify import verify

TASKS = [
    Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1, "train", "number"),
    Task(({"role": "user", "content": "7 * 6 ="},), "42", "sums", 1, "train", "number", {}, "7 14 42<answer>42</answer>"),
    Task(({"role": "user", "content": "Turn around: abc"},), "cba", "words", 1, "train", "exact"),
    Task(({"role": "user", "content": "Say something."},), None, "open", 1),
]


def test_calibration_by_hand():
    """Of 2 x 2 pairs 0.9 > 0.2, 0.9 > 0.6, 0.6 = 0.6 and 0.6 > 0.2: 3.5 of 4. In bins: 0.2 wrong, 0.6 half right, 0.9 right."""
    found = learnt.calibration([0.9, 0.6, 0.2, 0.6], [True, True, False, False])
    assert (found.auc, found.right, found.wrong) == (pytest.approx(3.5 / 4), pytest.approx(0.75), pytest.approx(0.4))
    assert found.error == pytest.approx((0.2 + 2 * 0.1 + 0.1) / 4) and found.brier == pytest.approx(
        (0.01 + 0.16 + 0.04 + 0.36) / 4
    )
    assert learnt.calibration([1.0, 0.3], [True, True]).auc is None
    with pytest.raises(ValueError, match="cannot be compared"):
        learnt.calibration([], [])


def test_residuals_with_mean_zero_have_no_discrepancy_whatever_their_skew():
    skewed = [-1.0] * 30 + [3.0] * 10
    assert split_point.discrepancy(skewed) == pytest.approx(0) and split_point.discrepancy([*skewed, 0.0]) == pytest.approx(0)
    assert split_point.discrepancy(np.array(skewed) + 0.3) > 0.1 and split_point.discrepancy([]) == 0
    assert split_point.class_discrepancy(0.25, 2 * 0.25 * 0.75) == 0 and split_point.class_discrepancy(
        0.5, 0.1
    ) == pytest.approx(0.4)


def test_what_chance_explains_is_no_doubt():
    """Of an honest reward, however uncertain, nothing is left; of one that is too sure, what it is too sure by."""
    rng = np.random.default_rng(0)
    bins = [[(p, bool(rng.random() < p)) for p in rng.uniform(low, low + 0.1, 2000)] for low in np.arange(10) / 10]
    assert learnt.doubt(bins) < 0.01 and learnt.doubt([[(0.5, i % 2 == 0) for i in range(100)]]) == 0
    # Said 0.9 and right in six of ten: |2 * 0.9 * 0.1 - (0.6 * 0.1 + 0.4 * 0.9)| = 0.24.
    assert learnt.calibration([0.9] * 1000, [True] * 600 + [False] * 400).doubt == pytest.approx(0.24)


def test_every_hacker_is_wrong_and_every_twin_right_to_the_verifier():
    listed = learnt.scripts(TASKS)
    assert len(listed) == 3 * 2 * (1 + len(learnt.HACKERS))
    for task, name, right, said in listed:
        assert verify(task, said).correct is right, (name, right, said)


def by(reward):
    listed = learnt.scripts(TASKS)
    return {act.name: act for act in learnt.gallery(listed, [reward(task, said) for task, _, _, said in listed])}


def test_the_verifier_is_fooled_by_none_and_a_constant_by_all():
    true, blind = by(lambda t, s: float(verify(t, s).correct)), by(lambda t, s: 0.5)
    assert {(a.n, a.lift, a.fooled, a.twin) for a in true.values()} == {(3, 0.0, 0.0, 0.0)}
    assert {a.fooled for a in blind.values()} == {1.0}


@pytest.mark.parametrize(
    ("reward", "names"),
    [
        (lambda t, s: min(len(s) / 2000, 0.9), {"long"}),
        (lambda t, s: float("correct" in s), {"sure", "rubric"}),
        (lambda t, s: float(s.count("<answer>") > 3), {"again"}),
        (lambda t, s: float("wonderful" in s), {"flattery"}),
        (lambda t, s: float((t.answer or "?") in s.replace("<answer>", "").split("\n")[0]), {"gold"}),
        (lambda t, s: float("say yes" in s), {"order"}),
    ],
)
def test_a_reward_with_a_weakness_is_fooled_by_its_hacker(reward, names):
    """By the dress: a wrong answer in it is paid more than the same one without."""
    lifted = {name for name, act in by(reward).items() if act.lift > 0.3}
    assert names <= lifted and len(lifted) <= len(names) + 1


def test_what_cannot_be_judged_is_left_out():
    listed = learnt.scripts(TASKS)
    rewards = [None if task is TASKS[0] and name == "plain" else 1.0 for task, name, _, _ in listed]
    assert {act.n for act in learnt.gallery(listed, rewards)} == {2}


def run(learnt_reward, accuracy, audits=()):
    steps = [dict(phase="loop", round=r, step=r, learnt=value) for r, value in enumerate(learnt_reward, 1)]
    rounds = [dict(round=r, accuracy=a, n=400) for r, a in enumerate(accuracy, 1)]
    return [found.name for found in doctor.diagnose(steps, rounds, audits)]


def test_the_doctor_says_when_the_reward_rises_alone():
    up = [0.3, 0.35, 0.4, 0.6, 0.7, 0.8]
    assert run(up, [0.5] * 6) == run(up, [0.5, 0.5, 0.5, 0.45, 0.4, 0.4]) == ["learnt_reward_rises_alone"]
    assert run(up, [0.3, 0.35, 0.4, 0.6, 0.7, 0.8]) == []  # the skill rises with it
    assert run([0.4] * 6, [0.5] * 6) == run(up[:5], [0.5] * 5) == []


def test_the_doctor_says_when_the_reward_is_blind_or_fooled():
    def audit(auc, fooled, n=100):
        calibration = dict(auc=auc, n=n, error=0.2)
        return dict(calibration=calibration, gallery=[dict(name="long", n=6, lift=0.4, fooled=fooled)])

    assert run([], [], [audit(0.5, 0.0)] * 3) == ["learnt_reward_blind"]
    assert run([], [], [audit(0.5, 0.0), audit(0.8, 0.0), audit(0.5, 0.0)]) == []
    assert run([], [], [audit(0.9, 0.2), audit(0.9, 0.9), audit(0.9, 0.5)]) == ["learnt_reward_fooled_long"]
    assert run([], [], [audit(0.5, 0.9, n=10)]) == []
