"""Texts about mistakes: what is read and what is learnt, errors of known kinds, how many pairs, edits that are accepted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from sharpen import tasks, verify
from sharpen.core import Rollout, Sample, Span, Task, Turn, UserError, Verdict
from sharpen.data import corrections, edits, errors, make_batch, pairs
from sharpen.objectives import preferences, tableau
from sharpen.verify import steps

GOOD, BAD = "2 3 6<answer>6</answer>", "2 4 7<answer>7</answer>"
SPLICE = corrections.spliced


def test_a_splice_joins_at_the_first_error_and_the_wrong_step_has_no_loss():
    kept, spliced = corrections.example(SPLICE, [GOOD, BAD], "6")
    assert kept == ("", GOOD) and spliced == ("2 4", " Wait, that is wrong. 3 6<answer>6</answer>")
    (whole,) = corrections.example(partial(SPLICE, mask=False, mixed=False), [GOOD, BAD], "6")
    assert whole == ("", "2 4 Wait, that is wrong. 3 6<answer>6</answer>")
    (control,) = corrections.example(partial(SPLICE, at="end", mixed=False), [GOOD, BAD], "6")
    assert control[0] == BAD and len(control[0]) > len(spliced[0])  # splicing at the error is the shorter way back


def test_without_a_right_answer_the_worked_solution_goes_on_and_without_either_nothing_does():
    assert corrections.example(SPLICE, [BAD], "6", GOOD) == [("2 4", " Wait, that is wrong. 3 6<answer>6</answer>")]
    assert corrections.example(SPLICE, [BAD], "6") == []
    assert corrections.example(SPLICE, [GOOD, GOOD], "6") == [("", GOOD)] * 2
    with pytest.raises(UserError, match="restart"):
        corrections.example(partial(SPLICE, ways=("again",)), [BAD], "6", GOOD)


def episode(said, outcome, rights, group=0):
    """A rollout of several attempts, whose tokens are bytes, with context between them."""
    spans, text = [], "?"
    for n, words in enumerate(said):
        text += "|"
        spans.append(Span(len(text), len(text) + len(words), "", 0, n))
        text += words
    tokens = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    sampled = np.zeros(len(tokens), bool)
    for span in spans:
        sampled[span.start : span.stop] = True
    task = Task(({"role": "user", "content": "?"},), "6", "f", 1)
    made = Rollout(task, tokens, sampled, np.zeros(len(tokens)), tuple(said), "end", 0, 0, "r", spans=tuple(spans))
    parts = {f"turn {n}": float(r) for n, r in enumerate(rights, 1)}
    return Sample(made, Verdict(outcome, float(outcome == "correct"), parts), group)


def learnt(sample):
    return corrections.text_of(sample.rollout.tokens[sample.rollout.sampled])


MEND = partial(corrections.mended, rng=np.random.default_rng(0), mask_token=0)


def test_only_verified_revisions_are_learnt_and_copies_are_none():
    listed = [
        episode(["5", "6"], "correct", [0, 1]),
        episode(["6"], "correct", [1]),
        episode(["6", "6"], "correct", [1, 1]),
        episode(["6", "5"], "wrong", [1, 0]),
    ]
    assert [learnt(s) for s in MEND(listed)] == ["6", "6"] and [learnt(s) for s in MEND(listed, first=False)] == ["6"]
    same = episode(["6 ", "6"], "correct", [0, 1])  # the same words: nothing was revised
    assert MEND([same]) == []


def test_a_past_generation_mask_hides_the_faulty_attempt_alone():
    """m = 0: nothing; m = 1: all of the old attempt, so that it is as if it were not there. The rest is seen as it is."""
    one = episode(["5555", "6"], "correct", [0, 1])
    assert MEND([one])[0].inputs is None
    hidden = MEND([one], hidden=1.0)[0]
    seen = corrections.text_of(hidden.inputs)
    assert seen == "?|\0\0\0\0|6" and corrections.text_of(hidden.rollout.tokens) == "?|5555|6" and learnt(hidden) == "6"
    assert make_batch([hidden]).inputs is not None


def test_stopping_is_learnt_as_often_as_mending():
    found = corrections.example(corrections.refinements, ["6", "5", "4", "6"], "6")
    after = [read for read, _ in found if read]
    assert sum("[6]" in read for read in after) == 2 == sum("[6]" not in read for read in after)
    never = corrections.example(partial(corrections.refinements, same=0.0), ["6", "5", "4", "6"], "6")
    assert not any("[6]" in read for read, _ in never)
    assert corrections.example(partial(corrections.refinements, own=True), ["5", "4"], "6", "6") == []


def test_what_is_said_of_an_answer_before_its_revision_may_depend_on_it():
    """Nothing said: no revision."""
    found = corrections.example(partial(corrections.refinements, ask=said_of, same=9.0), ["6", "5", "4"], "6")
    assert [read for read, _ in found] == ["", "[5][Not 5.]", "[6][Right.]"]


def said_of(task, answer):
    return {"6": "Right.", "5": "Not 5."}.get(answer)


def test_checks_are_balanced_and_wrong_answers_are_never_learnt():
    found = corrections.example(corrections.proposals, ["6", "5", "4", "3"], "6")
    words = [text for _, text in found]
    assert words == ["6", "It is right.", "It is wrong.", "It is wrong.", "It is wrong.", "6", "6", "6"]


def test_who_filters_by_its_own_verdict_learns_what_it_calls_right_whatever_it_is():
    def retell(sample, messages, answer=None):
        return replace(sample, rollout=replace(sample.rollout, turns=(answer,)))

    sure = episode(["5", "It is right."], "wrong", [0])
    unsure = episode(["6", "It is wrong."], "correct", [1])
    kept = corrections.by_own_verdict([sure, unsure], retell=retell)
    assert [s.rollout.response for s in kept] == ["5"]  # precision is the student's, and to be watched
    assert len(corrections.by_own_verdict([sure, unsure], filtered=False, retell=retell)) == 2


# Errors.

TEXT = "12+3=15 15-4=11 11*2=22<answer>22</answer>"


@pytest.mark.parametrize("kind", errors.KINDS)
def test_an_error_is_where_and_what_it_says(kind):
    for seed in range(5):
        found = errors.inject(TEXT, kind, np.random.default_rng(seed))
        assert found is not None and found.kind == kind and found.text != TEXT
        assert found.text.split()[: found.step] == TEXT.split()[: found.step] and found.before != found.after
    assert errors.inject("", kind, np.random.default_rng(0)) is None


def test_a_spoilt_answer_is_wrong_by_the_verifier_and_a_chain_goes_on_from_its_slip():
    source, rng = tasks.step_chain(), np.random.default_rng(0)
    for number in range(20):
        task = source.draw(source.arms[number % 8], "train", number, 0)
        said = errors.spoilt(task, task.solution, rng)
        assert verify.verify(task, said).outcome == "wrong"
        own, known = steps.checked(task, said, own=True), steps.checked(task, said)
        assert own.count(False) == 1 and known == [i < own.index(False) for i in range(len(own))]  # one slip, nothing after it
    for answer, worked in (("25", "12+13=25<answer>25</answer>"), ("25", "25"), ("abc", "cab abc<answer>abc</answer>")):
        task = Task(({"role": "user", "content": "?"},), answer, "f", 1, verifier="number" if answer == "25" else "exact")
        assert verify.verify(task, worked).correct
        assert verify.verify(task, errors.spoilt(task, worked, rng)).reward == 0
    program = Task(({"role": "user", "content": "?"},), None, "f", 1, verifier="code_io")
    assert errors.spoilt(program, "print(1)", rng) is None  # it would have to be run


def test_related_values_change_together_and_alone_they_do_not():
    texts = [errors.inject("1 7 7 7", kind, np.random.default_rng(3)).text.split() for kind in ("value", "related")]
    assert sum(a != b for a, b in zip(texts[0], ["1", "7", "7", "7"])) == 1
    with pytest.raises(UserError, match="operator"):
        errors.inject(TEXT, "typo", np.random.default_rng(0))


def test_the_gradient_of_an_edited_pair_is_on_the_edited_step_alone():
    found = corrections.example(errors.error_pairs, [TEXT], "22")
    assert len(found) == 2 and found[0][0] == found[1][0]  # what both read
    step, spoilt = found[0][1], found[1][1]
    assert step != spoilt and TEXT.startswith(found[0][0] + step)


def test_pairs_are_as_many_as_the_formula_says():
    """n(n - 1) a(1 - a) right-wrong pairs of n samples of accuracy a: 10 and 0.7 give 18.9. None where all or none is right."""
    assert errors.pair_yield(10, 0.7) == pytest.approx(18.9) and errors.pair_yield(10, 0.0) == errors.pair_yield(10, 1.0) == 0
    rng, made = np.random.default_rng(0), []
    for _ in range(400):
        outcomes = rng.random(10) < 0.7
        group = [episode(["6"], "correct" if right else "wrong", [right]) for right in outcomes]
        made.append(len(errors.all_pairs(group)) / 2)  # each pair is two samples
    assert np.mean(made) == pytest.approx(18.9, rel=0.05)
    assert errors.all_pairs([episode(["6"], "correct", [1])] * 4) == []


@pytest.mark.parametrize(("m", "accuracy", "kept"), [(1, 0.80, 0.56), (4, 0.88, 0.60), (8, 0.93, 0.64), (32, 0.99, 0.69)])
def test_pairs_that_are_kept_by_what_they_cause_are_right_more_often(m, accuracy, kept):
    """Labels right with 0.7; acting on a good item is better than on a bad one by half of the noise; m trials of each side."""
    rng = np.random.default_rng(m)
    n = 4000
    good = rng.random(n) < 0.7
    sides = [np.where(good, half, -half) + rng.standard_normal((m, n)).mean(axis=0) for half in (0.25, -0.25)]
    worth = [(float(a), float(b)) for a, b in zip(*sides)]
    listed = [((i, 0), (i, 1)) for i in range(n)]
    found = errors.kept_by_effect(listed, lambda side: worth[side[0]][side[1]])
    right = np.mean([good[a[0]] for a, _ in found])
    assert right == pytest.approx(accuracy, abs=0.035) and len(found) / n == pytest.approx(kept, abs=0.05)


def test_the_prefix_of_a_pair_has_no_coefficient():
    one = episode([TEXT], "correct", [1])
    sides = [replace(corrections.learnt_from(one, 8, corrections.text_of, 15), group=0) for _ in range(2)]
    sides[1] = replace(sides[1], verdict=Verdict("wrong", 0.0))
    batch = make_batch(sides)
    logp = torch.as_tensor(batch.sampling)
    c = tableau.coefficients(preferences.dpo(), batch, logp, reference=logp).numpy()
    on = np.flatnonzero(c[0])
    assert len(on) == 7 and corrections.text_of(batch.tokens[0][on]) == "15-4=11"


def test_every_prompt_gives_one_pair_from_where_it_can_be_had():
    def retell(sample, messages, answer=None):
        return replace(sample, rollout=replace(sample.rollout, turns=(sample.rollout.response if answer is None else answer,)))

    none = np.zeros(0)
    weak = Turn("8", none, none > 0, none, "end", spans=(Span(0, 0, "small"),))
    mixed = [episode(["6"], "correct", [1], 0), episode(["5", "4"], "wrong", [0, 0], 0)]
    mended = [episode(["5", "6"], "correct", [0, 1], 1), episode(["5", "4"], "wrong", [0, 0], 1)]
    all_right = episode(["6"], "correct", [1], 2)
    easy = [replace(all_right, rollout=replace(all_right.rollout, others=(weak,)))] * 2
    hopeless = [episode(["5", "4"], "wrong", [0, 0], 3)]
    found = pairs.staged([*mixed, *mended, *easy, *hopeless], retell=retell)
    said = [s.rollout.response for s in found]
    assert said == ["6", "5", "6", "5", "6", "8"] and [s.group for s in found] == [0, 0, 1, 1, 2, 2]
    assert len(pairs.staged([*mixed, *mended, *easy], False, False, retell=retell)) == 2


# Edits.


def test_accepted_edits_do_not_depend_on_their_order_and_none_is_no_change():
    text, revised = "The cat sit on a mat .", "The cat sits on the mat."
    found = [replace(e, accepted=True) for e in edits.edits(text, revised)]
    assert len(found) == 3 and edits.apply(text, found) == edits.apply(text, found[::-1]) == revised
    assert edits.apply(text, [replace(e, accepted=False) for e in found]) == text == edits.apply(text, [])
    assert edits.edits(text, text) == []
    with pytest.raises(ValueError, match="overlap"):
        edits.apply("abc", [edits.Edit(0, 2, "ab", "x", accepted=True), edits.Edit(1, 3, "bc", "y", accepted=True)])


def test_a_reader_who_accepts_what_comes_nearer_never_goes_away_from_the_target():
    text, target = "1 2 3 4 5", "1 7 3 8 5"
    for revised in ("1 7 3 4 6", "9 2 3 8 5", "1 7 3 8 5", "x"):
        ruled = edits.ruled(text, edits.edits(text, revised), edits.by_distance(target))
        now = edits.apply(text, ruled)
        distance = [corrections.np.abs(len(t) * 0) + edits.turns.edit_distance(t, target) for t in (text, now)]
        assert distance[1] <= distance[0]
    both = edits.ruled(text, edits.edits(text, "1 7 3 4 6"), edits.by_distance(target))
    assert [e.accepted for e in both] == [True, False]
