"""Each trouble has an evil history, which must be found, and honest twins close to it, which must not."""

from __future__ import annotations

import dataclasses
import json
import random
import re

import pytest

from sharpen.guard.doctor import MISMATCH, PATIENCE, ROUNDS, WINDOW, Diagnosis, diagnose
from sharpen.recipe import Recipe

HEALTHY = dict(
    reward=0.4, correct=0.4, silent=0.5, truncated=0.02, malformed=0.01, unscorable=0.0, rollouts=256, tokens=2560,
    loss=0.01, grad_norm=0.5, mismatch=0.01, lr=3e-4, temperature=1.0,
)  # fmt: skip


def steps(n: int = WINDOW, phase: str = "loop", first: int = 0, round: int = 1, **changed) -> list[dict]:
    """n steps; a value may be a function of the step's place among them."""
    made = []
    for i in range(n):
        values = {key: value(i) if callable(value) else value for key, value in changed.items()}
        made.append({**HEALTHY, **values, "step": first + i, "phase": phase, "round": round})
    return made


def only(found: list[Diagnosis]) -> Diagnosis:
    assert len(found) == 1, [str(d) for d in found]
    return found[0]


def healthy_run(seed: int) -> tuple[list[dict], list[dict]]:
    """A run that learns, noisily: 600 warm-up steps, then 30 rounds of 20 steps."""
    rng = random.Random(seed)
    history = [
        dict(step=i, phase="warmup", round=0, loss=3 / (1 + i), grad_norm=1.0, mismatch=0.0, lr=1e-3) for i in range(600)
    ]
    rounds = []
    for number in range(1, 31):
        skill = 0.2 + 0.02 * number
        for i in range(20):
            noise = rng.gauss(0, 0.08)
            reward = min(max(skill + noise, 0.0), 1.0)
            silent = min(max(0.6 + rng.gauss(0, 0.15), 0.0), 1.0)
            gap = 0.012 * rng.lognormvariate(0, 0.5)
            more = dict(silent=silent, grad_norm=0.4 * (silent < 1), mismatch=gap, truncated=rng.random() * 0.3)
            history += steps(1, first=600 + 20 * number + i, round=number, reward=reward, correct=reward, **more)
        accuracy = skill + rng.gauss(0, 0.02)
        rounds.append({"round": number, "accepted": rng.random() < 0.7, "accuracy": accuracy, "n": 640})
    return history, rounds


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_run_is_never_disturbed(seed: int):
    history, rounds = healthy_run(seed)
    for end in range(0, len(history) + 1, 7):  # live: after every few steps, with the rounds that were closed by then
        closed = [r for r in rounds if r["round"] < (history[end - 1]["round"] if end else 0)]
        assert diagnose(history[:end], closed) == []


def test_nothing_is_said_of_nothing():
    assert diagnose([], []) == []
    assert diagnose([{"step": 0, "phase": "loop", "round": 0}], [{"round": 0, "accuracy": 0.0, "n": 0}]) == []


# All truncated.


def test_all_truncated():
    found = only(diagnose(steps(truncated=0.97, correct=0.0, reward=0.01, tokens=256 * 64)))
    assert (found.name, found.fatal) == ("all_truncated", True)
    assert found.evidence == {"truncated": pytest.approx(0.97), "correct": 0, "tokens_an_answer": 64, "steps": WINDOW}
    assert "--set max_tokens=128" in found.cure  # twice the tokens of an answer


def test_truncated_answers_that_are_right_waste_tokens_only():
    assert not only(diagnose(steps(truncated=0.97, correct=0.4))).fatal


@pytest.mark.parametrize(
    "honest",
    [
        steps(truncated=0.85, correct=0.0, reward=0.01),  # long thoughts
        steps(WINDOW - 1, truncated=1.0, correct=0.0),  # too early to say
        steps(10, truncated=1.0, correct=0.0) + steps(WINDOW, truncated=0.3),  # long at first, then learnt to stop
    ],
)
def test_not_all_truncated(honest: list[dict]):
    assert diagnose(honest) == []


# No variance.


@pytest.mark.parametrize(
    ("reward", "silent", "fatal", "word"),
    [
        (0.99, 1.0, False, "Too easy"),
        (0.99, 0.985, False, "Too easy"),
        (0.004, 0.985, False, "Too hard"),  # one group in seventy still teaches
        (0.05, 1.0, True, "Too hard"),
        (0.0, 1.0, False, "Too hard"),  # `reward_zero` decides, later
        (0.5, 1.0, True, "always or never"),
    ],
)
def test_no_variance_and_its_cause(reward: float, silent: float, fatal: bool, word: str):
    found = only(diagnose(steps(reward=reward, correct=reward, silent=silent, grad_norm=0.0 if silent == 1 else 0.3)))
    assert (found.name, found.fatal) == ("no_variance", fatal)
    assert word in found.cure
    assert found.evidence == {"silent": pytest.approx(silent), "reward": pytest.approx(reward), "steps": WINDOW}


@pytest.mark.parametrize(
    "honest",
    [
        steps(silent=0.97, reward=0.95),  # nearly saturated, still learning
        steps(silent=lambda i: 1.0 if i else 0.5, grad_norm=lambda i: 0.0 if i else 0.3),  # mean 0.975
        steps(silent=1.0, reward=1.0, grad_norm=0.7),  # SFT on demonstrations: groups of one, and a gradient
        steps(WINDOW - 1, silent=1.0, grad_norm=0.0),
    ],
)
def test_variance_enough(honest: list[dict]):
    assert diagnose(honest) == []


# Reward flat at zero.


def flat(n: int = PATIENCE, **more) -> list[dict]:
    return steps(n, **{**dict(reward=0.0, correct=0.0, silent=0.5, rollouts=100), **more})


def test_reward_flat_at_zero():
    found = only(diagnose(flat()))
    assert (found.name, found.fatal) == ("reward_zero", True)
    # Rule of three: no success in n answers puts the success rate below 3 / n with 95 % confidence.
    assert found.evidence["answers"] == 100 * PATIENCE
    assert found.evidence["highest_likely_success_rate"] == pytest.approx(3 / (100 * PATIENCE))
    assert "too hard" in found.cure


def test_reward_flat_at_zero_names_the_likely_cause():
    assert "<answer>" in only(diagnose(flat(malformed=0.8))).cure
    assert "max_tokens" in only(diagnose(flat(truncated=0.7))).cure
    both = diagnose(flat(silent=1.0, grad_norm=0.0))
    assert [(d.name, d.fatal) for d in both] == [("reward_zero", True), ("no_variance", False)]  # the fatal first


@pytest.mark.parametrize(
    "honest",
    [
        flat(PATIENCE - 1),
        flat(reward=lambda i: 0.001 if i == 0 else 0.0),  # one success in the window
        flat(PATIENCE - 5, reward=0.0) + flat(10, reward=float("nan")),  # no scored answer is not a zero
        flat(phase="warmup"),
    ],
)
def test_reward_not_flat_at_zero(honest: list[dict]):
    assert diagnose(honest) == []


# Engine and trainer.


def test_mismatch():
    found = only(diagnose(steps(mismatch=0.3)))
    assert (found.name, found.fatal, found.evidence) == ("mismatch", True, {"mismatch": pytest.approx(0.3), "steps": WINDOW})
    assert "--set precision=fp32" in found.cure and "temperature" not in found.cure
    said = only(diagnose(steps(mismatch=0.08, temperature=0.7)))
    assert not said.fatal and "--set temperature=1 (it is 0.7)" in said.cure


@pytest.mark.parametrize(
    "honest",
    [
        steps(mismatch=0.8 * MISMATCH[0]),  # bfloat16
        steps(mismatch=lambda i: 0.9 if i == 7 else 0.001),  # a spike
        steps(mismatch=lambda i: 0.3 if i % 2 else 0.0, n=WINDOW),  # ten steps trained on nothing: too few are left
    ],
)
def test_no_mismatch(honest: list[dict]):
    assert diagnose(honest) == []


def test_mismatch_that_grows():
    found = only(diagnose(steps(100, mismatch=lambda i: 0.002 * 1.03**i)))
    assert (found.name, found.fatal) == ("mismatch_grows", False)
    # Medians of 20: the mean of places 9 and 10 at first, of 89 and 90 at last.
    assert found.evidence["at_first"] == pytest.approx(0.002 * (1.03**9 + 1.03**10) / 2)
    assert found.evidence["mismatch"] == pytest.approx(0.002 * (1.03**89 + 1.03**90) / 2)
    assert "--set lr=0.00015" in found.cure  # half of 3e-4


@pytest.mark.parametrize(
    "honest",
    [
        steps(100, mismatch=lambda i: 1e-6 * 1.06**i),  # grows 300-fold and is still rounding noise
        steps(100, mismatch=lambda i: 0.01 if i < 50 else 0.04),  # four times
        steps(100, mismatch=lambda i: 0.004 if i < 91 else 0.08),  # a spell of nine steps: not the median
        steps(2 * WINDOW - 1, mismatch=lambda i: 0.002 if i < WINDOW else 0.04),
    ],
)
def test_mismatch_that_does_not_grow(honest: list[dict]):
    assert diagnose(honest) == []


# Unscorable.


@pytest.mark.parametrize(
    ("history", "limit", "fatal"),
    [
        (steps(unscorable=0.06), 0.05, True),
        (steps(5, unscorable=0.916), 0.05, True),
        (steps(5, unscorable=lambda i: 0.9 if i == 3 else 0.0), 0.05, False),  # all in one step: an outage that has passed
        (steps(unscorable=0.06, unscorable_limit=0.01), 0.01, True),  # the recipe's own limit
        (steps(unscorable=0.5, unscorable_limit=0.4), 0.4, True),
    ],
)
def test_unscorable(history: list[dict], limit: float, fatal: bool):
    found = only(diagnose(history))
    assert (found.name, found.fatal) == ("unscorable", fatal)
    share = sum(s["unscorable"] for s in history) / len(history)
    assert found.evidence == {"unscorable": pytest.approx(share), "limit": limit, "steps": len(history)}
    assert "sharpen query" in found.cure


@pytest.mark.parametrize(
    "honest",
    [
        steps(unscorable=0.04),
        steps(unscorable=0.3, unscorable_limit=0.4),
        steps(unscorable=lambda i: 0.9 if i == 3 else 0.0),  # one step's outage: 4.5 % of the window
        steps(4, unscorable=1.0),
        steps(unscorable=1.0) + steps(unscorable=0.0),  # mended
    ],
)
def test_scorable(honest: list[dict]):
    assert diagnose(honest) == []


# Timeouts.


def test_timeouts_are_said():
    found = only(diagnose(steps(timeout=0.4)))
    assert (found.name, found.fatal, found.evidence) == ("timeouts", False, {"timeout": pytest.approx(0.4), "steps": WINDOW})
    assert diagnose(steps(timeout=0.2)) == []
    assert diagnose(steps(timeout=lambda i: 1.0 if i < 5 else 0.0)) == []  # loops at first, then learnt to end


# Training up, held-out down.


def told(rewards: list[float], accuracies: list[float], n: int = 640) -> list[Diagnosis]:
    history = [s for i, reward in enumerate(rewards) for s in steps(4, first=4 * i, round=i + 1, reward=reward)]
    rounds = [{"round": i + 1, "accepted": False, "accuracy": a, "n": n} for i, a in enumerate(accuracies)]
    found = diagnose(history, [{"round": 0, "accepted": True, "accuracy": 0.5, "n": n}, *rounds])
    return [d for d in found if d.name != "reward_rises_alone"]  # which comes before the fall: test_monitors.py


RISING, FALLING = [0.40, 0.43, 0.46, 0.52, 0.56, 0.60], [0.52, 0.50, 0.48, 0.42, 0.40, 0.38]


def test_training_up_held_out_down():
    found = only(told(RISING, FALLING))
    assert (found.name, found.fatal) == ("held_out_falls", False)
    # Means of three: 0.43 and 0.56, 0.50 and 0.40; standard error sqrt(2 x 0.45 x 0.55 / 640) = 0.0278.
    assert found.evidence == {
        "reward_before": pytest.approx(0.43),
        "reward": pytest.approx(0.56),
        "held_out_before": pytest.approx(0.50),
        "held_out": pytest.approx(0.40),
        "standard_error": pytest.approx(0.0278, abs=1e-4),
    }
    assert only(told([0.1] * 4 + RISING, [0.9] * 4 + FALLING)).evidence == found.evidence  # the latest rounds count


@pytest.mark.parametrize(
    ("rewards", "accuracies", "n"),
    [
        (RISING, [0.5] * ROUNDS, 640),
        (RISING[::-1], FALLING, 640),  # both fall: bad, but not this
        (RISING, [0.50, 0.50, 0.50, 0.45, 0.45, 0.45], 640),  # 5 points are less than two standard errors
        (RISING, FALLING, 60),  # so are 10 with few tasks
        (RISING[1:], FALLING[1:], 640),  # five rounds are too few
        ([0.43] * 3 + [0.45] * 3, FALLING, 640),  # reward as good as flat
    ],
)
def test_held_out_does_not_fall(rewards: list[float], accuracies: list[float], n: int):
    assert told(rewards, accuracies, n) == []


# NaN.


@pytest.mark.parametrize(("phase", "knob"), [("loop", "--set lr=0.00015"), ("warmup", "--set warmup_lr=0.00015")])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_loss_not_finite_is_found_at_once(phase: str, knob: str, bad: float):
    found = only(diagnose([*steps(1), *steps(1, phase=phase, first=1, loss=bad)]))
    assert (found.name, found.fatal, found.evidence["step"]) == ("loss_not_finite", True, 1)
    assert knob in found.cure
    assert only(diagnose(steps(1, phase=phase, grad_norm=bad))).name == "loss_not_finite"
    assert "nan" in str(found) or "inf" in str(found)


def test_a_large_loss_is_finite():
    assert diagnose(steps(1, loss=1e30, grad_norm=1e30)) == []


# What a diagnosis says.


def everything() -> list[Diagnosis]:
    found = [
        *diagnose(steps(PATIENCE, reward=0.0, correct=0.0, silent=1.0, grad_norm=0.0, truncated=1.0, unscorable=0.5)),
        *diagnose(steps(PATIENCE, reward=0.0, malformed=1.0)),
        *diagnose(steps(PATIENCE, reward=0.0)),
        *diagnose(steps(PATIENCE, mismatch=lambda i: 0.01 if i < WINDOW else 1.0, temperature=0.5)),
        *(d for reward in (0.05, 0.5, 1.0) for d in diagnose(steps(reward=reward, silent=1.0, grad_norm=0.0))),
        *diagnose(steps(1, loss=float("nan"))),
        *diagnose(steps(timeout=0.9)),
        *told(RISING, FALLING),
        *diagnose(ALIKE),
        *diagnose(LONGER),
    ]
    troubles = "all_truncated held_out_falls loss_not_finite mismatch mismatch_grows no_variance reward_zero timeouts "
    troubles += "unscorable answers_alike answers_lengthen"
    assert {d.name for d in found} == set(troubles.split())
    return found


def then(**late) -> list[dict]:
    """Two windows of steps, of which the second has these values."""
    return steps(WINDOW, entropy=1.0) + steps(WINDOW, first=WINDOW, **{"entropy": 1.0, **late})


ALIKE, LONGER = then(entropy=0.1), then(tokens=4600, truncated=0.15)


def test_answers_that_become_alike_are_told_unless_tasks_are_solved():
    assert only(diagnose(ALIKE)).name == "answers_alike" and not only(diagnose(ALIKE)).fatal
    assert diagnose(then(entropy=0.1, reward=0.95)) == [] and diagnose(then(entropy=0.3)) == []
    for curve, quiet in (
        ([0.3, 0.42, 0.48, 0.57], True),
        ([0.3, 0.5], True),
        ([0.66, 0.65, 0.66, 0.66], False),
        ([0.3], False),
    ):
        measured = [{"round": i, "accuracy": a, "n": 100} for i, a in enumerate(curve)]
        assert (diagnose(ALIKE, measured) == []) is quiet, curve


def test_answers_that_grow_are_told_once_they_are_cut_off():
    assert only(diagnose(LONGER)).name == "answers_lengthen"
    assert diagnose(then(tokens=4600)) == [] and diagnose(then(truncated=0.15)) == []


def test_every_cure_names_knobs_that_exist():
    knobs = {field.name for field in dataclasses.fields(Recipe)}
    for found in everything():
        named = re.findall(r"--set (\w+)=", found.cure)
        assert set(named) <= knobs, found
        assert named or "--tasks" in found.cure or "sharpen query" in found.cure, found


def test_evidence_is_numbers_and_a_diagnosis_one_line():
    for found in everything():
        assert all(isinstance(value, int | float) for value in found.evidence.values())
        assert json.loads(json.dumps(dict(found.evidence))).keys() == found.evidence.keys()
        assert found.name in str(found) and found.cure in str(found) and "\n" not in str(found)
