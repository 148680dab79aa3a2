"""Who learns how, and what is learnt of supervisors that err."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sharpen.core import UserError
from sharpen.data import blending, lengths, measures, noisy, pairs, replay, routing, weak
from sharpen.recipes.played import answers, as_forced


def tried(*rates, n=4):
    """A group for each number of right answers among n."""
    return [s for g, k in enumerate(rates) for s in answers(*[("4", 1.0)] * k, *[("5", 0.0)] * (n - k), group=g)]


def shown(*groups):
    return [as_forced(answers((f"shown {g}", 1), tokens=[5], group=g)[0]) for g in groups]


def test_every_group_goes_one_way_and_what_is_always_right_teaches_nothing():
    notes: dict = {}
    kept = routing.routed(tried(4, 2, 0, 1, 0), demos=shown(0, 1, 2), notes=notes)
    assert notes["routes"] == {"own": 2, "expert": 2, "nothing": 1, "unshown": 1}
    by_group = {s.group: s for s in kept}
    assert set(by_group) == {1, 2} and len(kept) == 2  # 1 and 3 are the same task here, and the same answer is learnt once
    assert by_group[2].rollout.stop == "forced" != by_group[1].rollout.stop and all(s.verdict.correct for s in kept)
    routing.routed(tried(4), demos=[], notes=notes)
    assert notes["routes"]["nothing"] == 2 and sum(notes["routes"].values()) - notes["routes"]["unshown"] == 6


def test_the_same_answer_to_two_tasks_is_learnt_of_the_one_that_is_not_mastered():
    kept = routing.routed(tried(4, 2), demos=[], notes={})
    assert [s.group for s in kept] == [1]


def test_an_interval_decides_only_what_is_certain():
    assert routing.way(0, 8) == "expert" and routing.way(8, 8) == "nothing" and routing.way(1, 8) == "own"
    assert routing.way(0, 8, low=1 / 3, certain=True) == "expert"  # Wilson: 0 of 8 is below 0.324
    assert routing.way(0, 8, low=0.3, certain=True) == routing.way(0, 2, low=0.5, certain=True) == "own"
    assert routing.way(8, 8, high=0.67, certain=True) == "nothing"
    with pytest.raises(UserError, match="low < high"):
        routing.way(1, 2, low=1.0, high=0.5)
    with pytest.raises(ValueError, match="nobody"):
        routing.way(0, 0)


def test_pairs_against_the_majority_by_hand():
    own = answers(("4", 1), ("4", 1), ("4", 1), ("4", 1), ("5", 0))
    agrees, differs = (as_forced(answers((text, 0))[0]) for text in ("4", "7"))
    assert [s.rollout.response for s in weak.contrastive([agrees, *own])] == ["4", "5"]
    assert [s.rollout.response for s in weak.contrastive([differs, *own])] == ["4", "7"]
    assert [s.verdict.reward for s in weak.contrastive([differs, *own])] == [1.0, 0.0]
    unsure = answers(("4", 1), ("4", 1), ("4", 1), ("5", 0), ("6", 0))
    assert not weak.contrastive([differs, *unsure]) and weak.contrastive([agrees, *unsure])  # 0.6: enough to agree only
    assert not weak.contrastive([agrees, *answers(("4", 1), ("4", 1))])  # nobody to be preferred to
    assert not weak.contrastive(own) and not weak.over_base(own)  # no weak answer
    assert [s.rollout.response for s in weak.over_base([differs, *own])] == ["4", "7"]
    assert not weak.over_base([agrees, *own])
    with pytest.raises(UserError, match="least"):
        weak.contrastive(own, least=0.9, sure=0.5)


def test_agreement_is_right_more_often_than_either():
    rng, n, a, b, m = np.random.default_rng(0), 200_000, 0.6, 0.5, 5
    first = np.where(rng.random(n) < a, 0, rng.integers(1, m, n))
    other = np.where(rng.random(n) < b, 0, rng.integers(1, m, n))
    found = (first[first == other] == 0).mean()
    assert abs(weak.agreement(a, b, m) - found) < 0.005 and weak.agreement(a, b, m) > 0.85
    assert weak.agreement(0, 0, 2) == 0 and weak.agreement(1, 1, 2) == 1
    with pytest.raises(UserError, match="two"):
        weak.agreement(0.5, 0.5, 1)


def test_a_supervisor_that_is_always_wrong_or_always_right_is_kept_or_dropped_as_asked():
    right, wrong = ([as_forced(s) for s in answers(("4", r), ("5", r))] for r in (1, 0))
    assert weak.told(right, "right") == right == weak.told(right) and not weak.told(right, "wrong")
    assert weak.told(wrong, "wrong") == wrong == weak.told(wrong) and not weak.told(wrong, "right")
    with pytest.raises(UserError, match="all, right, wrong"):
        weak.told(right, "best")


def test_step_errors_that_differ_leave_a_perfect_student_and_the_same_one_flips_at_one_half():
    for wrong in (0.25, 0.4):
        found = noisy.outcome_of(noisy.Steps(wrong), 8, 600)
        assert found.learnt == 1.0 and abs(found.taught - ((1 - wrong) ** 8 + (1 - (1 - wrong) ** 8) / 10)) < 0.06
    assert found.taught < 0.16  # at 0.4: nearly nine of ten ends wrong
    below, above = (noisy.outcome_of(noisy.Steps(wrong, True), 8, 600).learnt for wrong in (0.3, 0.7))
    assert below > 0.95 and above < 0.05
    # Exactly: 1 - e > e / (V - 1), and 1 - e > e.
    assert [noisy.learnable(e, 10) for e in (0.89, 0.91)] == [True, False]
    assert [noisy.learnable(e, 10, True) for e in (0.499, 0.501)] == [True, False]
    assert noisy.outcome_of(noisy.Steps(0.0), 8, 50).taught == 1 and noisy.outcome_of(noisy.Steps(1.0), 1, 500).taught == 0


def test_a_scripted_supervisor_answers_chains():
    said = noisy.weak_steps(({"role": "user", "content": "Start at 7, count mod 10: +5 -9 +3"},))
    assert said.count(" ") == 2 and said.endswith("</answer>")
    assert noisy.Steps(0.0)(({"role": "user", "content": "Start at 7, count mod 10: +5 -9 +3"},)) == "2 3 6<answer>6</answer>"
    assert noisy.weak_steps(({"role": "user", "content": "hello"},)) == "I do not know."


def test_lessons_rescue_a_systematic_majority_where_the_pupil_can_tell():
    """32 solutions, the right answer 35 %, a common wrong one 45 %, two others 10 %; a pupil passes an exam question with
    chance 0.6 after a right and 0.35 after a wrong example, nine questions (arXiv 2406.14629; the numbers of the formula
    sheet)."""
    rng, right = np.random.default_rng(0), {way: [0, 0] for way in weak.WAYS}
    for chances in range(2):
        for _ in range(300):
            said = rng.choice(list("rwxy"), 32, p=[0.35, 0.45, 0.1, 0.1])
            score = rng.binomial(9, np.where((said == "r") | (chances == 1), 0.6, 0.35))
            for way in weak.WAYS:
                right[way][chances] += weak.by_lessons(list(said), list(score), way) == "r"
    share = {way: [k / 300 for k in found] for way, found in right.items()}
    assert share["majority"][0] < 0.36 and share["sum"][0] > 0.65 and share["max"][0] > 0.8 and share["mean"][0] > 0.9
    assert max(found[1] for found in share.values()) < 0.36
    assert weak.by_lessons(["a", "b", "b"], [1, 1, 1], "sum") == weak.by_lessons(["a", "b", "b"], [1, 1, 1], "majority") == "b"
    with pytest.raises(ValueError, match="nothing"):
        weak.by_lessons([], [])


def test_form_first_and_meaning_in_the_end():
    assert [round(blending.form_weight(p), 6) for p in (0, 0.5, 1)] == [1, 0.5, 0]
    assert blending.handed_over(answers(("4", 1)), progress=0.0)[0].verdict.reward == 0  # no such part


def test_answers_that_never_end_are_left_out():
    cut = [replace(s, rollout=replace(s.rollout, stop="length")) for s in answers(("4", 1))]
    both = [*cut, *answers(("4", 1), ("5", 0))]
    assert [s.rollout.stop for s in lengths.ended(both)] == ["end", "end"]


def test_pairs_in_form_and_what_is_gained_elsewhere():
    assert [pairs.broken("7 <answer>4</answer>", i) for i in range(3)] == [
        "7 <answer>4",
        "7 4",
        "<answer>7 4</answer>7 4",
    ]
    assert pairs.broken("4", 0) == "<answer>4"
    assert round(pairs.generalisation(0.8, 0.4), 3) == 0.444 and round(pairs.generalisation(0.4, 0.8), 3) == 0.667
    assert pairs.generalisation(0.8, -0.1) == 0
    assert len(pairs.demo_vs_wrong(tried(1, n=3), demos=shown(0))) == 4


def test_a_buffer_fills_while_nothing_is_learnt_and_gives_whole_groups_back():
    buffer, rng = [], np.random.default_rng(0)
    assert replay.warmed(tried(1, 2), warm=0.5, progress=0.4, buffer=buffer, rng=rng) == [] and len(buffer) == 8
    later = replay.warmed(tried(1), warm=0.5, again=1, most=6, progress=0.6, buffer=buffer, rng=rng)
    assert [s.group for s in later] == [0] * 4 + [1] * 4 and len(buffer) == 6
    assert [s.group for s in replay.warmed(tried(1), warm=0.0, progress=0.0, buffer=[], rng=rng)] == [0] * 4


def test_phrases_of_reflection_are_counted_and_go_with_being_right_or_not():
    every = answers(("Wait, 4", 1), ("Let me check: 4", 1), ("5", 0), ("6", 0))
    assert measures.reflection(every) == measures.Reflection(0.5, 1.0)
    assert measures.reflection(answers(("wait", 1), ("wait", 0))).correlation == 0
    assert np.isnan(measures.reflection([]).share)
