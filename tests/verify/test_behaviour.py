"""Behaviours are counted and never paid; programs are paid by how they fail."""

from dataclasses import replace

import pytest

from sharpen import verify
from sharpen.core import Task, Verdict
from sharpen.verify import behaviour, learnt

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sums", 1, verifier="number")


@pytest.mark.parametrize(
    "text, name",
    [
        ("Let me check: 2 + 2", "verifying"),
        ("Wait, that is wrong.", "turning back"),
        ("First, I add.", "sub-goals"),
        ("Case 1: x is odd", "trying cases"),
    ],
)
def test_a_behaviour_and_its_honest_twin(text, name):
    assert behaviour.shown(text)[name] == 1 and not any(behaviour.shown("The sum of both is 4.").values())


def test_form_costs_only_what_cannot_be_read_and_what_failed_on_our_side_stays_so():
    right, wrong, lost = "<answer>4</answer>", "<answer>5</answer>", "hm"
    paid = [verify.watched(TASK, said, form=0.25).reward for said in (right, wrong, lost)]
    assert paid == [1.0, 0.2, 0.0]
    ours = verify.watched(TASK, right, verifier=lambda task, said: Verdict("unscorable", None))
    assert ours.reward is None and ours.outcome == "unscorable"


def test_a_long_answer_is_looked_at_in_part_and_takes_no_time_to_speak_of():
    assert not any(behaviour.shown("x" * 200_000 + " wait, let me check").values())


def test_trusted_never_ranks_a_wrong_answer_above_a_right_one():
    made = {o: [learnt.rehearse(verify.trusted, o, scores=[s]).reward for s in (-50, 0, 50)] for o in ("wrong", "correct")}
    assert max(made["wrong"]) <= min(made["correct"]) and made["correct"] == sorted(made["correct"])


def test_a_gap_where_the_verifier_fails_is_nobodys():
    said = replace(TASK, answer=None)
    assert learnt.rehearse(verify.gap, "wrong", scores=[1.0], turns=("5", "6"), task=said, response="6").reward == 0.5
    lost = learnt.rehearse(verify.gap, "unscorable", scores=[1.0], turns=("5", "6"), response="6")
    assert lost.outcome == "unscorable" and lost.reward is None
