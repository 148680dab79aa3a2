"""Votes, self-certainty and B4: numbers by hand, the claims of the formula sheet, and groups that decide nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpen.core import PLAIN, Rollout, Sample, Task, TaskSource, UserError, Verdict
from sharpen.hashing import derive
from sharpen.models import embedded
from sharpen.models.policy import LocalPolicy
from sharpen.models.scripted import ScriptedPolicy
from sharpen.rollouts import drive
from sharpen.rollouts.rollout import single
from sharpen.verify import consensus, judge

TASK = Task(({"role": "user", "content": "?"},), None, "f", 1)
NOTHING = np.zeros(0)


def sample(response, group=0, stop="end", reward=0.0, **parts):
    rollout = Rollout(TASK, NOTHING.astype(np.int32), NOTHING > 0, NOTHING, (response,), stop, 0, 0, "r")
    return Sample(rollout, Verdict("wrong", reward, parts), group)


def outcomes(samples):
    return [s.verdict.outcome for s in samples]


# Majority vote


def test_the_majority_is_taken_for_right():
    judged = consensus.majority([sample(r) for r in ("The answer is 0.5.", r"\boxed{\frac12}", "Answer: 2", "no idea", "1/2")])
    assert outcomes(judged) == ["correct", "correct", "wrong", "malformed", "correct"]
    assert [s.verdict.reward for s in judged] == [1, 1, 0, 0, 1]
    assert [s.verdict.parts["votes"] for s in judged] == [3 / 5, 3 / 5, 1 / 5, 0, 3 / 5]
    assert judged[0].verdict.rule == "majority vote"


def test_each_group_votes_for_itself_and_order_is_kept():
    judged = consensus.majority(
        [sample("1", 0), sample("2", 1), sample("1", 0), sample("2", 0), sample("2", 1), sample("1", 1)]
    )
    assert outcomes(judged) == ["correct", "correct", "correct", "wrong", "correct", "wrong"]
    assert [s.group for s in judged] == [0, 1, 0, 0, 1, 1]


def test_what_decides_nothing_is_unscorable():
    assert outcomes(consensus.majority([sample("1"), sample("2")])) == ["unscorable"] * 2
    assert outcomes(consensus.majority([sample("1"), sample("1"), sample("2"), sample("2"), sample("3")])) == ["unscorable"] * 5
    votes = [sample("1"), sample("1"), sample("2"), sample("none at all")]
    assert outcomes(consensus.majority(votes, least=0.5)) == ["correct", "correct", "wrong", "malformed"]
    assert outcomes(consensus.majority(votes, least=0.6)) == ["unscorable"] * 3 + ["malformed"]
    assert outcomes(consensus.majority([sample(""), sample("")])) == ["malformed"] * 2
    assert consensus.majority([]) == []


def test_a_rollout_that_failed_on_our_side_stays_as_it_is_and_has_no_vote():
    failed = sample("2", stop="failed")
    judged = consensus.majority([sample("1"), failed, failed, failed])
    assert outcomes(judged)[0] == "correct" and judged[1] is failed


# Self-certainty


def test_self_certainty_by_hand():
    """p = (1/2, 1/4, 1/4): -(1/3)(log 3/2 + 2 log 3/4) = -(1/3) log 27/32; with a uniform position it is half of that."""
    logits = np.log(np.array([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]))
    one = -math.log(27 / 32) / 3
    assert consensus.self_certainty(logits[:1]) == pytest.approx(one, rel=1e-12)
    assert consensus.self_certainty(logits) == pytest.approx(one / 2, rel=1e-12)
    assert consensus.self_certainty(logits + 7) == pytest.approx(one / 2, rel=1e-12)  # logits, whatever their constant
    assert consensus.self_certainty(np.zeros((0, 5))) == 0.0


@settings(max_examples=100)
@given(st.lists(st.lists(st.floats(-20, 20), min_size=4, max_size=4), min_size=1, max_size=5))
def test_self_certainty_is_the_divergence_from_uniform(rows):
    """KL(U || p) >= 0, and 0 only where p is uniform."""
    logits = np.array(rows)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    divergence = np.mean([sum(0.25 * math.log(0.25 / q) for q in row) for row in p])
    value = consensus.self_certainty(logits)
    assert value == pytest.approx(divergence, rel=1e-6, abs=1e-9) and value >= -1e-12


def test_self_certainty_of_an_impossible_token_is_finite():
    """Without a floor it would be infinite, and one such token would decide every vote."""
    certain = consensus.self_certainty(np.array([[0.0, -np.inf]]))
    assert certain == pytest.approx(50 - math.log(2))  # -(0 - 100)/2 - log 2
    assert consensus.self_certainty(np.array([[0.0, -1000.0]])) == certain


def test_certainties_of_a_policys_rollouts_equal_those_of_its_whole_logits():
    import torch

    policy = LocalPolicy(*embedded.build("micro", TaskSource("none", (), lambda *draw: TASK), 0), "fp32")
    rollouts = drive(policy, single, [TASK] * 3, ["a", "b", "c"], seed=1, max_tokens=6, sampling=PLAIN)
    expected = []
    for rollout in rollouts:
        with torch.no_grad():
            logits = policy.model(torch.from_numpy(rollout.tokens.astype(np.int64))[None]).logits[0, :-1].float().numpy()
        expected.append(consensus.self_certainty(logits[rollout.sampled[1:]]))
    found = consensus.certainties(policy, rollouts, positions=4)
    assert found == pytest.approx(expected, rel=1e-3) and all(c > 0 for c in found)
    with pytest.raises(UserError, match="local policy"):
        consensus.certainties(ScriptedPolicy(lambda messages: "1"), rollouts)


# Borda


def certain(*pairs):
    return consensus.with_certainty([sample(answer) for answer, _ in pairs], [c for _, c in pairs])


def test_borda_by_hand():
    """Power 1, ranks 1 to 4: "2" has 4 votes, "1" has 3 + 2 = 5, "3" has 1. Power 2: 16 against 9 + 4 = 13."""
    group = certain(("2", 9.0), ("1", 5.0), ("1", 4.0), ("3", 1.0))
    assert outcomes(consensus.borda(group, power=1)) == ["wrong", "correct", "correct", "wrong"]
    assert outcomes(consensus.borda(group, power=2)) == ["correct", "wrong", "wrong", "wrong"]
    assert consensus.borda(group, power=1)[0].verdict.parts["votes"] == pytest.approx(4 / 10)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("1234"), st.floats(0, 10)), min_size=1, max_size=8, unique_by=lambda pair: pair[1]))
def test_borda_is_the_majority_at_power_0_and_the_most_certain_at_infinity(pairs):
    group = certain(*pairs)
    assert outcomes(consensus.borda(group, power=0)) == outcomes(consensus.majority(group))
    best = max(pairs, key=lambda pair: pair[1])[0]
    assert outcomes(consensus.borda(group, power=1e6)) == ["correct" if answer == best else "wrong" for answer, _ in pairs]


def test_equal_certainties_share_their_ranks():
    group = certain(("1", 2.0), ("2", 2.0), ("2", 1.0))
    assert consensus.borda(group, power=1)[0].verdict.parts["votes"] == pytest.approx(2.5 / 6)
    with pytest.raises(UserError, match="with_certainty"):
        consensus.borda([sample("1")])


# B4


def beta(a, b):
    return math.log(math.gamma(a) * math.gamma(b) / math.gamma(a + b))


def test_b4_by_hand():
    """Three programs, two tests; rows 10, 10, 01. For the row 10: sum y = 1 of M = 2, sum x = 2 of N = 3; the other program
    fails the right test (0 of 1) and passes the wrong one (1 of 1)."""
    passed = np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)
    first = beta(1 + 10, 1 + 1) + beta(2 + 10, 1 + 1) + beta(0 + 1, 1 + 1) + beta(1 + 1, 0 + 10)
    last = beta(1 + 10, 1 + 1) + beta(1 + 10, 2 + 1) + beta(0 + 1, 2 + 1) + beta(2 + 1, 0 + 10)
    assert consensus.b4_scores(passed) == pytest.approx([first, first, last], rel=1e-12)
    assert outcomes(consensus.b4([sample("", **{"test 1": row[0], "test 2": row[1]}) for row in passed.astype(float)])) == [
        *("correct", "correct", "wrong")
    ]


def test_b4_needs_the_same_tests_of_every_program_and_at_least_one():
    assert outcomes(consensus.b4([sample("a"), sample("b")])) == ["unscorable"] * 2
    with pytest.raises(ValueError, match="different tests"):
        consensus.b4([sample("a", **{"test 1": 1.0}), sample("b")])
    chosen = consensus.b4([sample("11"), sample("11"), sample("00")], passed=lambda s: [c == "1" for c in s.rollout.response])
    assert outcomes(chosen) == ["correct", "correct", "wrong"] and chosen[0].verdict.rule == "B4"


@pytest.mark.parametrize(
    ("rates", "b4", "max_pass", "largest"),
    [
        ((0.2, 0.3, 0.1, 0.4), 0.989, 0.614, 0.737),
        ((0.3, 0.3, 0.3, 0.3), 0.892, 0.148, 0.888),
        ((0.2, 0.5, 0.05, 0.4), 1.0, 0.996, 0.716),
    ],
)
def test_b4_selects_as_often_right_as_the_sheet_says(rates, b4, max_pass, largest):
    """Programs and tests that are right with given rates; wrong programs pass wrong and right tests with others: 10 programs,
    30 tests, share of the selected programs that are right. Against the program that passes most, and the largest group."""
    right_program, right_test, on_wrong, on_right = rates
    rng = np.random.default_rng(derive(0, "b4"))
    shares = {"b4": [], "max pass": [], "largest": []}
    for _ in range(600):
        x, y = rng.random(10) < right_program, rng.random(30) < right_test
        if x.sum() in (0, 10):
            continue
        rate = np.outer(x, y) + np.outer(~x, y) * on_right + np.outer(~x, ~y) * on_wrong
        passed = rng.random((10, 30)) < rate
        rows = [tuple(row) for row in passed]
        sizes = [rows.count(row) for row in rows]
        scores = consensus.b4_scores(passed)
        shares["b4"].append(x[scores == scores.max()].mean())
        shares["max pass"].append(x[passed.sum(1) == passed.sum(1).max()].mean())
        first = rows[int(np.argmax(sizes))]
        shares["largest"].append(x[[row == first for row in rows]].mean())
    found = {name: np.mean(values) for name, values in shares.items()}
    assert found["b4"] == pytest.approx(b4, abs=0.04) and found["max pass"] == pytest.approx(max_pass, abs=0.06)
    assert found["largest"] == pytest.approx(largest, abs=0.06)
    assert found["b4"] >= max(found["max pass"], found["largest"]) - 0.02


def test_the_data_slot_takes_what_judge_makes():
    """Four rollouts of a scripted policy, judged by a verifier that knows nothing, then by each other."""
    answers = iter(["4", "4", "5", "4"])
    policy = ScriptedPolicy(lambda messages: next(answers))
    rollouts = drive(policy, single, [TASK] * 4, list("abcd"), seed=0, max_tokens=8, sampling=PLAIN)
    samples = judge(rollouts, [0] * 4, lambda task, response: Verdict("unscorable", None))
    assert outcomes(consensus.majority(samples)) == ["correct", "correct", "wrong", "correct"]
