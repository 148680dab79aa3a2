"""What reward models and judges are taught, steps as turns, and rewards of parts: by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sharpen.core import Rollout, Sample, Span, Task, Verdict
from sharpen.data import blending, judgements, lessons, make_batch, stepping
from sharpen.objectives import advantage
from sharpen.verify import pieces

TASK = Task(({"role": "user", "content": "Start at 1: +2 +3"},), "6", "chain", 1, solution="3 6<answer>6</answer>")


def sample(text, reward=0.0, group=0, credit=(), parts=None, name="a"):
    tokens = np.frombuffer(b"?" + text.encode(), dtype=np.uint8).astype(np.int32)
    on = np.arange(len(tokens)) > 0
    rollout = Rollout(TASK, tokens, on, np.where(on, -1.0, 0.0), (text,), "end", 0, 0, name, spans=(Span(1, len(tokens)),))
    verdict = Verdict("correct" if reward == 1 else "wrong", reward, parts or {}, credit=tuple(credit))
    return Sample(rollout, verdict, group)


def decode(tokens):
    return bytes(tokens.astype(np.uint8)).decode()


def test_each_of_an_ensemble_leaves_out_another_fold_of_the_tasks():
    each = [sample("6", 1.0), *(replace(s, rollout=replace(s.rollout, task=replace(TASK, answer=str(i)))) for i in range(30)
            for s in [sample(str(i), 0.0)])]  # fmt: skip
    folds = [lessons.all_but(each, fold, 3) for fold in range(3)]
    assert sum(map(len, folds)) == 2 * len(each) and all(len(each) > len(fold) > 0 for fold in folds)
    assert lessons.all_but(each, 0, 1) == lessons.outcomes(each)


def test_labels_are_the_verifiers_outcome_whatever_was_paid():
    paid = replace(sample("3 7<answer>7</answer>"), verdict=Verdict("wrong", 0.9))
    (lesson,) = lessons.outcomes([paid], pieces.steps)
    assert math.isnan(lesson.targets[0]) and lesson.targets[-1] == 0.0
    (lesson,) = lessons.processes([paid], lessons.checked)
    assert (lesson.steps, lesson.targets) == (("3 ", "7", "<answer>7</answer>"), (1.0, 0.0, 0.0))
    (lesson,) = lessons.as_outcome([sample("3 6", 1.0)], pieces.from_start)
    assert (lesson.steps, lesson.targets) == (("", "3 ", "6"), (1.0, 1.0, 1.0))
    unknown = replace(paid, rollout=replace(paid.rollout, task=replace(TASK, solution=None)))
    assert lessons.processes([unknown], lessons.checked) == []


@pytest.mark.parametrize(
    ("noisy", "mended"),
    [
        ([1, 1, 0, 0], [1, 1, 0, 0]),
        ([1, 0, 1, 1], [1, 1, 1, 1]),
        ([1, 0, 1, 0, 0], [1, 1, 1, 0, 0]),
        ([0, 0, 1], [0, 0, 0]),
        ([], []),
    ],
)
def test_labels_of_a_chain_are_made_consistent(noisy, mended):
    assert lessons.up_to_first_error(noisy) == mended


def test_what_comes_behind_the_first_wrong_step_is_not_taught():
    for labels, left in (([1, 1, 0, 0, 1], 3), ([1, 1], 2), ([0, 1], 1), ([math.nan, 1, 0, 1], 3)):
        found = lessons.until_wrong(labels)
        np.testing.assert_array_equal(found, [*labels[:left], *[math.nan] * (len(labels) - left)])
    task = Task(({"role": "user", "content": "?"},), "6", "f", 1, solution="2 4 6<answer>6</answer>")
    found = lessons.first_wrong(task, "2 5 6<answer>6</answer>", ("2 ", "5 ", "6", "<answer>6</answer>"))
    np.testing.assert_array_equal(found, [1, 0, math.nan, math.nan])


def test_groups_with_both_kinds_are_compared_and_the_liked_mistakes_are_the_hard_ones():
    listed = [
        sample("a", 1.0),
        *(sample(t, parts={"learnt": v}) for t, v in (("b", 0.1), ("c", 0.9))),
        sample("d", 1.0, group=1),
    ]
    assert [x.steps[0] for x in lessons.preferences(listed)] == ["a", "b", "c"]
    assert [(x.steps[0], x.targets) for x in lessons.preferences(listed, hardest=1)] == [("a", (1.0,)), ("c", (0.0,))]


def test_steps_become_turns_and_not_a_token_changes():
    one = sample("3 6<answer>6</answer>", credit=(1.0, 0.5, 0.0))
    (found,) = stepping.by_steps([one], pieces.steps, decode=decode)
    spans = found.rollout.spans
    assert [decode(found.rollout.tokens[s.start : s.stop]) for s in spans] == ["3 ", "6", "<answer>6</answer>"]
    assert [s.turn for s in spans] == [0, 1, 2] and found.rollout.tokens is one.rollout.tokens
    batch = make_batch([found])
    assert batch.credit[0, 1:4].tolist() == [1.0, 1.0, 0.5] and batch.turn[0, -1] == 2
    odd = replace(one, verdict=replace(one.verdict, credit=(1.0,)))
    (kept,) = stepping.by_steps([odd], pieces.steps, decode=decode)
    assert kept.verdict.credit == () and len(kept.rollout.spans) == 1


def test_selective_credit_reaches_only_steps_that_agree_with_the_answer():
    """Rewards 1 and 0 are 1/2 and -1/2 after centring: of the right answer the right steps, of the wrong one the wrong ones."""
    right, wrong = sample("3 6", 1.0, credit=(1.0, 0.0)), sample("3 7", 0.0, credit=(1.0, 0.0), name="b")
    found = stepping.selective([right, wrong], pieces.words, decode=decode)
    assert [s.verdict.credit for s in found] == [(0.5, 0.0), (0.0, -0.5)]
    credit = advantage.credited(make_batch(found))
    assert credit[0, 1:3].tolist() == [0.5, 0.5] and credit[1, 1] == 0 and credit[1, 3] == -0.5


def test_a_share_of_the_steps_own_verdicts():
    (found,) = stepping.mixed([sample("3 6", 1.0, credit=(1.0, 0.0))], pieces.words, decode=decode)
    assert found.verdict.credit == pytest.approx((1.0, 0.8))


def test_pairs_of_judgements_are_as_many_as_there_can_be():
    """n (n - 1) a (1 - a) ordered pairs in the mean; each used once: min(right, wrong), and none where all agree."""
    rng, n, a = np.random.default_rng(0), 6, 0.7
    yields = []
    for i in range(400):
        right = rng.random(n) < a
        own = [sample(f"Score: {1 if r else 9}", name=str(i)) for r in right]  # the answer is wrong: a low score is right
        made = judgements.pairs(own, most=n)
        yields.append(right.sum() * (~right).sum())
        assert len(made) == 2 * min(right.sum(), (~right).sum()) and [s.verdict.reward for s in made[:2]] in ([], [1.0, 0.0])
    assert np.mean(yields) == pytest.approx(n * (n - 1) * a * (1 - a), rel=0.08)


def test_what_a_judge_says_unreadably_is_wrong():
    own = [sample("yes"), sample("No."), sample("perhaps")]
    assert [s.verdict.reward for s in judgements.rights(own)] == [0.0, 1.0, 0.0] and len(judgements.right_ones(own)) == 1


def test_the_slope_of_the_true_reward_is_that_of_finite_differences():
    """Softmax over three arms at tau 1/2 with r_true = (0, 0, 1), r_aux = (0, 1, 0), weights 1 and 1: +0.498 and -0.439."""
    true, aux, tau = np.array([0.0, 0, 1]), np.array([0.0, 1, 0]), 0.5

    def policy(w, v):
        p = np.exp((w * true + v * aux) / tau)
        return p / p.sum()

    p, eps = policy(1, 1), 1e-6
    for part, ahead, behind, value in ((true, (1 + eps, 1), (1 - eps, 1), 0.498), (aux, (1, 1 + eps), (1, 1 - eps), -0.439)):
        exact = ((p * true * part).sum() - (p * true).sum() * (p * part).sum()) / tau
        assert exact == pytest.approx((policy(*ahead) @ true - policy(*behind) @ true) / (2 * eps), abs=1e-6)
        assert exact == pytest.approx(value, abs=5e-4)
        drawn = np.random.default_rng(0).choice(3, 200_000, p=p)
        assert blending.slope(true[drawn], part[drawn], tau) == pytest.approx(exact, abs=5e-3)


def test_weights_are_kept_and_parts_that_go_against_the_truth_lose_theirs():
    listed = [sample("a", 1.0, parts={"good": 1.0}), sample("b", parts={"bad": 1.0})]
    notes: dict = {}
    for _ in range(3):
        paid = blending.blended(listed, ("good", "bad"), rate=0.4, notes=notes)
    assert notes["phi"] == {"good": pytest.approx(0.3), "bad": pytest.approx(-0.3)}
    assert [s.verdict.reward for s in paid] == pytest.approx([1.3, -0.3]) and paid[0].verdict.parts["judged"] == 1.0
