"""Drift that is planted is found, within five rounds where it pays; healthy runs are left alone in 95 of 100."""

from __future__ import annotations

import numpy as np
import pytest

from sharpen.guard import hacking, monitors, refinement

STEPS = 10  # of a round


def run(seed, rounds=24, hacked=None, tasks=320, **drift):
    """A simulated run: skill grows along a curve, training reward is that of tasks a curriculum keeps half solved. From round
    `hacked` on reward grows without skill. `drift` are functions of the step."""
    rng = np.random.default_rng(seed)
    top, speed = rng.uniform(0.3, 0.9), rng.uniform(0.03, 0.3)
    start = rng.uniform(0.02, 0.3)
    loop, closed = [], []
    ahead = rng.uniform(0.0, 0.6)  # how much of the skill the curriculum takes back
    for number in range(1, rounds + 1):
        skill = start + (top - start) * (1 - np.exp(-speed * number))
        if hacked and number >= hacked:
            skill = start + (top - start) * (1 - np.exp(-speed * hacked)) - 0.005 * (number - hacked)
        extra = min(0.08 * (number - hacked + 1), 0.6) if hacked and number >= hacked else 0.0
        for i in range(STEPS):
            step = (number - 1) * STEPS + i
            reward = np.clip((1 - ahead) * skill + ahead * 0.5 + extra + rng.normal(0, 0.05), 0, 1)
            row = dict(
                round=number, reward=reward, correct=reward - extra, silent=0.4,
                length=12 * (1 + 0.3 * skill) * rng.lognormal(0, 0.1), entropy=0.4 * (1.1 - skill) * rng.lognormal(0, 0.1),
                repeated=0.02 * rng.random(), foreign=0.01 * rng.random(),
            )  # fmt: skip
            loop.append(row | {k: f(step, row) for k, f in drift.items()})
        closed.append({"round": number, "accuracy": rng.binomial(tasks, np.clip(skill, 0, 1)) / tasks, "n": tasks})
    return loop, closed


def found(loop, rounds):
    """Names, each with the round at which it was first said, looking after every round."""
    said = {}
    for r in rounds:
        seen = [s for s in loop if s["round"] <= r["round"]]
        for one in monitors.look(seen, [x for x in rounds if x["round"] <= r["round"]]):
            said.setdefault(one.name, r["round"])
    return said


def test_healthy_runs_are_left_alone():
    alarms = [found(*run(seed)) for seed in range(60)]
    assert sum(map(bool, alarms)) <= 3, alarms


def test_eight_held_out_tasks_tell_nothing():
    alarms = [found(*run(seed, rounds=12, tasks=8)) for seed in range(40)]
    assert sum("reward_rises_alone" in said for said in alarms) <= 2, alarms


def test_planted_hacking_is_found_within_five_rounds():
    at = [found(*run(seed, rounds=14, hacked=8)).get("reward_rises_alone", 99) for seed in range(60)]
    assert sum(8 <= r < 13 for r in at) >= 54, at


@pytest.mark.parametrize(
    "name, drift",
    [
        ("entropy_collapse", dict(entropy=lambda s, row: 0.4 * 0.95**s)),
        ("longer_not_better", dict(length=lambda s, row: 12 * (1 + s / 60), correct=lambda s, row: 0.3)),
        ("shorter_and_worse", dict(length=lambda s, row: 40 * 0.985**s, correct=lambda s, row: 0.6 - s / 600)),
        ("repetition", dict(repeated=lambda s, row: min(s / 200, 0.9))),
        ("language_drift", dict(foreign=lambda s, row: min(s / 1000, 0.5))),
        ("tampering", dict(tampered=lambda s, row: 0.1)),
    ],
)
def test_planted_drift_is_found(name, drift):
    assert sum(name in found(*run(seed, **drift)) for seed in range(10)) >= 9


def test_certainty_of_what_is_mastered_is_no_collapse():
    loop, rounds = run(0, entropy=lambda s, row: 0.4 * 0.95**s, reward=lambda s, row: 0.97)
    assert "entropy_collapse" not in found(loop, rounds)


def test_texts_are_measured():
    assert monitors.repeated("a b c d e f g h i j") == 0 and monitors.repeated("so it is " * 10) > 0.8
    assert monitors.repeated("short") == 0
    assert monitors.strange("What is 2 + 2?", "It is four.") == 0
    assert monitors.strange("What is 2 + 2?", "это 四 x") == pytest.approx(4 / 5)
    assert monitors.strange("2 + 2 =", "vier") == 0 and monitors.strange("什么", "什么 yes") == pytest.approx(3 / 5)


def test_a_student_of_a_fixed_set_parts_from_the_oracle_and_one_of_fresh_samples_does_not():
    """Three softmax laws: oracle, teacher near it, student. On few fixed samples it learns the noise; on fresh ones it does
    not."""

    def curves(fresh, seed):
        rng = np.random.default_rng(seed)
        oracle = rng.dirichlet(np.ones(30))
        teacher = oracle * rng.lognormal(0, 0.15, 30)
        teacher /= teacher.sum()
        fixed = np.bincount(rng.choice(30, 60, p=teacher), minlength=30) / 60
        z = np.log(np.full(30, 1 / 30))
        proxy, golden = [], []
        for _ in range(60):
            seen = np.bincount(rng.choice(30, 2000, p=teacher), minlength=30) / 2000 if fresh else fixed
            p = np.exp(z) / np.exp(z).sum()
            z = z + 1.0 * (seen - p) * 4
            p = np.exp(z) / np.exp(z).sum()
            proxy.append(-(fixed * np.log(p)).sum() if not fresh else (teacher * np.log(teacher / p)).sum())
            golden.append((oracle * np.log(oracle / p)).sum())
        return hacking.parted(proxy, golden)

    assert sum(curves(False, s).hacked for s in range(10)) >= 9
    assert sum(curves(True, s).hacked for s in range(10)) <= 1
    assert hacking.parted([1, 0.5], [1, 0.5]) is None


def taught(seed, hacked, tasks=320):
    """A simulated distillation: the distance to the teacher falls throughout, skill rises, and from round `hacked` on falls."""
    rng = np.random.default_rng(seed)
    loop, rounds = run(seed, rounds=20, tasks=tasks)
    start, top = rng.uniform(0.1, 0.3), rng.uniform(0.4, 0.8)
    for i, step in enumerate(loop):
        step["to_teacher"] = 2.0 * (i + 1) ** -0.4 * rng.lognormal(0, 0.1)
    for r in rounds:
        skill = start + (top - start) * (1 - np.exp(-0.2 * min(r["round"], hacked))) - 0.04 * max(r["round"] - hacked, 0)
        r["accuracy"] = rng.binomial(tasks, max(skill, 0.0)) / tasks
    return loop, rounds


def test_a_student_that_learns_its_teachers_faults_is_found_and_one_that_learns_its_skill_is_left_alone():
    at = [found(*taught(seed, 10)).get("teacher_hacking", 99) for seed in range(30)]
    assert sum(10 < r <= 15 for r in at) >= 27, at
    assert sum("teacher_hacking" in found(*taught(seed, 99)) for seed in range(40)) <= 1
    assert sum("teacher_hacking" in found(*taught(seed, 99, tasks=8)) for seed in range(40)) <= 1


def test_a_power_law_is_followed_or_left():
    x = np.arange(1, 41)
    noise = np.random.default_rng(0).lognormal(0, 0.01, 40)
    assert hacking.deviation(x**-0.5 * noise) < hacking.LEAVES < hacking.deviation(np.where(x > 20, 0.02, x**-0.5) * noise)


def test_a_schedule_is_read_off_gradient_norms():
    flat = refinement.refined([2.0] * 100)
    assert np.allclose(flat, np.linspace(1, 0, 100), atol=0.02) and refinement.linear_end(flat) == pytest.approx(0, abs=0.02)
    calmer = refinement.refined(np.linspace(2, 0.5, 100))  # norms that fall: the rate is held, even raised, before it falls
    assert calmer[50] > flat[50] and refinement.refined([7.0 * g for g in np.linspace(2, 0.5, 100)]) == pytest.approx(calmer)
    spiked = [2.0] * 100
    spiked[40] = 900.0
    assert np.allclose(refinement.refined(spiked), flat, atol=0.05) and refinement.refined([1.0] * 5) is None
