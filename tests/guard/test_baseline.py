"""The first look: how answers are counted, what is said of them, and which are shown."""

import numpy as np
import pytest

from sharpen import verify
from sharpen.core import Rollout, Sample, Tally, Task, Verdict, tally
from sharpen.guard import baseline


def answer(outcome: str, stop: str = "end", text: str = "?") -> Sample:
    nothing = np.zeros(0)
    task = Task(({"role": "user", "content": "q"},), "1", "a", 1)
    rollout = Rollout(task, nothing, nothing, nothing, (text,), stop, 0, 0, "r")
    return Sample(rollout, Verdict(outcome, None if outcome == "unscorable" else float(outcome == "correct")), 0)


def test_every_answer_is_counted_once_and_readable_is_what_the_verifier_found() -> None:
    told = tally(
        [
            answer("correct"),
            answer("correct", "length"),  # right is right, cut off or not
            answer("wrong"),
            answer("timeout"),  # a program that was read
            answer("wrong", "length"),  # read all the same
            answer("malformed", "length"),
            answer("malformed"),
            answer("unscorable", "length"),
        ]
    )
    assert told == Tally(correct=2, wrong=2, malformed=1, cut_off=2, lost=1, readable=5) and told.judged == 7
    assert told + Tally(correct=1, readable=1) == Tally(3, 2, 1, 2, 1, 6)
    assert baseline.words(told) == "29 % right, 29 % wrong, 14 % malformed, 29 % cut off, 1 not judged"
    assert baseline.unread(told) == "29 % of 7 answers could not be read (14 % malformed, 14 % cut off)"


def test_a_share_is_none_or_all_only_where_it_is() -> None:
    assert [baseline.percent(n, 1000) for n in (0, 1, 999, 1000)] == ["0 %", "1 %", "99 %", "100 %"]
    assert baseline.percent(0, 0) == "0 %"


@pytest.mark.parametrize(
    ("told", "name", "cure"),
    [
        (Tally(malformed=63, wrong=1, readable=1), "unreadable", "--system='Say it.'"),
        (Tally(malformed=20, cut_off=44), "unreadable", "--set max_tokens, which is 8, to 32"),
        (Tally(correct=10, wrong=20, cut_off=34, readable=64), "cut_off", "--set max_tokens"),  # read, so no matter of form
        (Tally(wrong=64, readable=64), "nothing_right", "easier"),
        (Tally(correct=64, readable=64), "nothing_left", "harder"),
    ],
)
def test_what_is_wrong_is_named_with_its_cure(told: Tally, name: str, cure: str) -> None:
    (found,) = baseline.look(told, ["Say it."], max_tokens=8)
    assert found.name == name and not found.fatal and cure in found.cure
    few = Tally(*(n // 4 for n in vars(told).values()))  # too few to say anything but that none of them can be read
    said = baseline.look(few, max_tokens=8, hopeless=True, limit=0.5)
    assert [(d.name, d.fatal) for d in said] == ([] if few.readable else [("unreadable", False)])
    assert baseline.look(Tally(malformed=3)) == []


def test_what_is_advised_is_what_a_chat_model_is_told() -> None:
    told = Tally(malformed=64)
    for name, text in verify.INSTRUCTIONS.items():
        (advice,) = verify.instructed([name])
        assert "{" not in advice and bool(advice) == bool(text)
        assert f"--system='{advice or baseline.FORM}'" in baseline.look(told, [advice])[0].cure


def test_nothing_is_said_of_a_model_that_can_learn() -> None:
    assert baseline.look(Tally(correct=20, wrong=60, malformed=10, cut_off=10, readable=90)) == []


def test_only_a_run_that_could_learn_nothing_is_stopped_and_the_knob_is_named() -> None:
    told = Tally(malformed=64)
    (found,) = baseline.look(told, hopeless=True, limit=0.98)
    assert found.fatal and "--set unreadable_limit=1" in found.cure and "100 % of 64" in found.cure
    assert not baseline.look(told, hopeless=True, limit=1.0)[0].fatal  # what the knob does
    assert not baseline.look(told, hopeless=False, limit=0.98)[0].fatal  # worked solutions, say
    assert not baseline.look(Tally(malformed=60, wrong=4, readable=4), hopeless=True, limit=0.98)[0].fatal


def test_the_answers_shown_are_of_every_kind_and_nobodys_choice() -> None:
    kinds = ["correct", "wrong", "wrong", "malformed", "correct", "wrong"]
    keys = ["f", "e", "d", "c", "b", "a"]
    assert baseline.pick(kinds, keys) == [5, 3, 4]  # most frequent first, the right ones last; the smallest key of each
    assert baseline.pick(kinds, keys, 5) == [5, 3, 4, 2, 0]
    assert baseline.pick(["wrong"] * 4, ["d", "c", "b", "a"]) == [3, 2, 1] and baseline.pick([], []) == []
