"""Data functions: what is compared, paired, hidden, cut short, and told again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_policy_gradient import sample

from sharpen.core import Ask, Rollout, Sample, Task, Turn, Verdict
from sharpen.data import relabel, selection
from sharpen.models.scripted import ScriptedPolicy
from sharpen.recipes.policy_gradient import frontier
from sharpen.rollouts import rollout

SUM = Task(({"role": "user", "content": "7 - 3 + 9"},), "13", "sum", 1)


def said(text, outcome="wrong", group=0, pieces=None):
    """An answer of one token a character, or of these pieces."""
    pieces = pieces or list(text)
    tokens = np.arange(len(pieces) + 2, dtype=np.int32)
    sampled = tokens >= 2  # two tokens of a question
    made = Rollout(SUM, tokens, sampled, np.where(sampled, -1, 0).astype(np.float32), (text,), "end", 0, 0, text)
    words = {2 + i: piece for i, piece in enumerate(pieces)}
    return Sample(made, Verdict(outcome, float(outcome == "correct")), group), lambda some: "".join(words[int(t)] for t in some)


# ----------------------------------------------------------------------------------------------------- comparisons and pairs


def test_win_rates_by_hand_and_blind_to_scale():
    """Of rewards 3, 1, 1 the first wins twice, the others lose once and draw once; three hundred wins no more than three."""
    for best in (3, 300):
        found = selection.win_rate([sample(best), sample(1), sample(1), sample(None, 0, "unscorable")])
        assert [s.verdict.reward for s in found] == [1, 0.25, 0.25]
        assert [s.verdict.parts["against judged"] for s in found] == [1 - best, -0.75, -0.75]
    assert selection.win_rate([sample(1, 5)])[0].verdict.reward == 0.5


def test_win_rates_of_a_taste_that_goes_in_circles():
    """Rock beats scissors beats paper beats rock: nobody is best, and the one that two others copy is worst off."""
    names = {"rock": 0, "scissors": 1, "paper": 2}

    def beats(a, b):
        gap = (names[b.rollout.response] - names[a.rollout.response]) % 3
        return {0: 0.5, 1: 1.0, 2: 0.0}[gap]

    each = [sample(0.3, text=name) for name in names]
    assert [s.verdict.reward for s in selection.win_rate(each, beats)] == [0.5, 0.5, 0.5]
    crowd = [sample(0.3, text=name) for name in ("rock", "rock", "paper")]
    assert [s.verdict.reward for s in selection.win_rate(crowd, beats)] == [0.25, 0.25, 1]


def test_what_was_cut_off_earns_nothing_and_is_not_paid_for_being_wrong():
    """Right, wrong and punished, each ended and cut off."""
    some = [sample(reward) for reward in (1, 0, -1)]
    cut = [dataclasses.replace(s, rollout=dataclasses.replace(s.rollout, stop="length")) for s in some]
    found = selection.finished([*some, *cut, sample(None, 0, "unscorable")])
    assert [s.verdict.reward for s in found] == [1, 0, -1, 0, 0, -1]
    assert found[3].verdict.parts["cut off"] == -1 and found[3].verdict.outcome == some[0].verdict.outcome
    assert [s.verdict.reward for s in selection.finished(some[:2] + cut, most=-1.0)] == [1, 0, -1, -1, -1]
    kept = frontier.varied([cut[0], *some[1:2], some[0], some[1]], share=0.5)
    assert sorted(s.verdict.reward for s in kept) == [0, 1] and all(s is not cut[0] for s in kept if s.verdict.reward)


def test_one_pair_of_each_group_with_both_sides():
    samples = [
        sample(0, 0, text="a"),
        sample(1, 0, text="b"),
        sample(0, 0, text="c"),
        sample(1, 1),
        sample(None, 2, "unscorable"),
    ]
    found = selection.one_pair(samples)
    assert [(s.rollout.response, s.verdict.correct) for s in found] == [("b", True), ("a", False)]


# ----------------------------------------------------------------------------------------------------------- hidden inputs


def test_masking_grows_and_keeps_to_the_answer():
    long = dataclasses.replace(sample(1, n=4000).rollout, sampled=np.arange(4001) > 2000)
    one = [dataclasses.replace(sample(1), rollout=long), sample(0)]

    def hidden(progress, seed=0):
        (found,) = selection.mask_inputs(one, 0.4, 0.5, progress=progress, rng=np.random.default_rng(seed), mask_token=-7)
        assert found.rollout is long
        return np.zeros(4001, bool) if found.inputs is None else found.inputs == -7

    assert not hidden(0.0).any()
    for progress, share in ((0.25, 0.2), (0.5, 0.4), (1.0, 0.4)):
        assert not hidden(progress)[:2001].any() and hidden(progress)[2001:].mean() == pytest.approx(share, abs=0.03)
    assert np.array_equal(hidden(1.0), hidden(1.0)) and not np.array_equal(hidden(1.0), hidden(1.0, seed=1))


# ------------------------------------------------------------------------------------------------------ right beginnings


def beginning(text, known, **more):
    wrong, decode = said(text, **more)
    found = selection.right_beginnings([*known, wrong], demos=[], decode=decode)[len(known) :]
    return [decode(s.rollout.tokens[s.rollout.sampled]) for s in found]


def test_a_beginning_ends_where_the_numbers_part():
    right = [said("4 12 13", "correct")[0]]
    assert beginning("4 12 14", right) == ["4 12 "]
    assert beginning("4 then 12, so 3", right) == ["4 then 12,"]  # other words, same numbers
    assert beginning("12 4 13", right) == []  # in another order
    assert beginning("412 13", right) == []  # another number that begins likewise
    assert beginning("4 12 13 9", right) == ["4 12 13 "]
    assert beginning("4 12", right) == ["4 "]  # the last number has not ended: it might go on
    assert beginning("", right) == [] and beginning("none", right) == []


def test_a_beginning_is_cut_at_tokens_of_any_length():
    right = [said("4 12 13", "correct")[0]]
    assert beginning("4 12 14", right, pieces=["4 1", "2", " 14"]) == [
        "4 12 14"[:4] + " 14"
    ]  # the space that ends it is in there
    assert beginning("4 12 14 1", right, pieces=["4 ", "12 ", "14 ", "1"]) == ["4 12 "]


def test_worked_solutions_are_known_too_and_other_tasks_are_not():
    solution, _ = said("4 13", "correct", group=1)
    wrong, decode = said("4 5 6", group=1)
    other, _ = said("4 5 6", group=2)
    found = selection.right_beginnings([wrong, other], demos=[solution], decode=decode)
    assert [s.group for s in found] == [1] and decode(found[0].rollout.tokens[found[0].rollout.sampled]) == "4 "
    assert selection.right_beginnings([wrong], partial=False, demos=[solution], decode=decode) == []


# ---------------------------------------------------------------------------------------------------- hints, marks, feedback


def turn(text):
    none = np.zeros(0)
    return Turn(text, none, none, none, "end")


def test_a_hint_is_given_for_a_wrong_answer_only_and_never_kept():
    for first, hinted in (("<answer>13</answer>", False), ("so 13", False), ("<answer>12</answer>", True)):
        going = rollout.rationalise(SUM)
        assert next(going) == Ask(SUM.prompt)
        try:
            second = going.send(turn(first))
        except StopIteration as end:
            assert not hinted and end.value.text == first
            continue
        assert hinted and second.messages[0]["content"] == "7 - 3 + 9 The answer is 13. Show how to get there."
        told = going.send(turn("4 13<answer>13</answer>"))
        assert told == Ask(SUM.prompt, answer="4 13<answer>13</answer>")


@pytest.mark.parametrize("task", [dataclasses.replace(SUM, split="validation"), dataclasses.replace(SUM, answer=None)])
def test_no_hint_where_it_would_be_cheating_or_there_is_none(task):
    going = rollout.rationalise(task)
    next(going)
    with pytest.raises(StopIteration):
        going.send(turn("5"))


def test_worked_solutions_follow_the_message_that_will_be_asked():
    from functools import partial

    assert rollout.demonstrating(rollout.single) is rollout.demonstrate
    shown = rollout.demonstrating(partial(rollout.single, system="Be good."))(SUM)
    assert next(shown) == Ask(({"role": "system", "content": "Be good."}, *SUM.prompt), answer="13")


def retell(sample, messages):
    """As the loop does, with a policy whose tokens are bytes."""
    (made,) = ScriptedPolicy(str).respond([Ask(tuple(messages), answer=sample.rollout.response)], [0], 0, None)
    arrays = dict(tokens=made.tokens, sampled=made.sampled, logprobs=made.logprobs, stop=made.stop)
    return dataclasses.replace(sample, rollout=dataclasses.replace(sample.rollout, **arrays))


def words(sample):
    """(everything, what is trained) of a sample of bytes."""
    tokens = sample.rollout.tokens.astype(np.uint8)
    return bytes(tokens).decode(), bytes(tokens[sample.rollout.sampled]).decode()


def test_hindsight_marks_and_chains():
    right, wrong = said("13", "correct")[0], said("12")[0]
    found = data_of(relabel.hindsight([wrong, right], retell=retell))
    assert found == [
        (f"<system>{relabel.BAD}<user>7 - 3 + 912", "12", 0.2),
        (f"<system>{relabel.GOOD}<user>7 - 3 + 913", "13", 1.0),
        # The wrong answer of a chain is read, not learnt.
        (f"<system>{relabel.BAD}<user>7 - 3 + 9<assistant>12<user>{relabel.GOOD}13", "13", 1.0),
    ]
    assert len(relabel.hindsight([wrong, right], chains=False, retell=retell)) == 2
    assert len(relabel.hindsight([wrong], retell=retell)) == 1


def test_feedback_stands_before_the_answer():
    right, wrong = said("13", "correct")[0], said("12")[0]
    wrong = dataclasses.replace(wrong, verdict=Verdict("wrong", 0.0, feedback="Off by one."))
    found = data_of(relabel.with_feedback([wrong, right], wrong=1.0, retell=retell))
    assert [all_of_it.split("<user>")[0] for all_of_it, *_ in found] == [
        f"<system>{relabel.BAD} Off by one.",
        f"<system>{relabel.GOOD} {relabel.WORKS}",
    ]
    assert [rest for _, *rest in found] == [["12", 1.0], ["13", 1.0]]
    plain = data_of(relabel.with_feedback([wrong], feedback=False, retell=retell))
    assert plain[0][0].startswith(f"<system>{relabel.BAD}<user>")


def data_of(samples):
    return [(*words(s), s.weight) for s in samples]
