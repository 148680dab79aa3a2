"""Weights, words, refusals, facts and principles: functions of samples, by hand."""

from dataclasses import replace

import numpy as np

from sharpen.core import Task, Turn
from sharpen.data import easing, graphs, lengths, lessons, principles, refusing, vocabulary
from sharpen.recipes.played import answers
from sharpen.recipes.teaching import toy


def test_what_ranks_right_weighs_at_once_and_everything_weighs_1_in_the_end():
    samples = answers(("4", 1.0), ("5", 0.0), ("6", 0.0))
    logprobs = [np.full(4, -x) for x in (0.5, 0.1, 2.0)]  # ranks 2, 1, 3
    at = [[s.weight for s in easing.eased(samples, 0.5, logprobs=logprobs, progress=p)] for p in (0.0, 0.25, 0.5, 1.0)]
    assert np.allclose(at[0], [1 / 2, 0, 2 / 3]) and np.allclose(at[1], [3 / 4, 1 / 2, 5 / 6])
    assert at[2] == at[3] == [1.0, 1.0, 1.0]
    anti = [s.weight for s in easing.eased(samples, 0.5, True, logprobs=logprobs, progress=0.0)]
    assert np.allclose(np.add(anti, at[0]), 1)


def test_rare_words_are_hidden_from_the_input_and_stay_what_is_predicted():
    common, rare = toy(0, 0, 1.0), toy(0, 7, 1.0)  # tokens 3 4 5 and 10 4 5
    notes = {}
    found = vocabulary.hidden_rare([common, common, rare], 0.75, notes=notes, mask_token=0)
    assert [s.inputs is None for s in found] == [True, True, False]
    assert found[2].inputs.tolist() == [1, 2, 0, 4, 5] and found[2].rollout.tokens[2] == 10
    assert notes["vocabulary"] == {"10": 1, "3": 2, "4": 3, "5": 3}
    assert vocabulary.hidden_rare([rare], 1.0, notes=notes, mask_token=0) == [rare]


def test_refusals_are_shown_then_paid_by_how_long_they_tried():
    solved, failed = answers(("a. 4", 1.0), ("5", 0.0)), answers(("x. y. z 5", 0.0), ("5", 0.0), group=1)
    told = []

    def retell(sample, messages, answer=None):
        told.append(answer)
        return replace(sample, rollout=replace(sample.rollout, turns=(answer,)))

    first = refusing.expert_iteration([*solved, *failed], progress=0.0, notes={}, retell=retell)
    assert told == ["x. y. z 5 I do not know."] and len(first) == 2
    notes = {"auto_cei": {"counts": [0, 0, 0], "steps": 0, "climb": {"c1": 2.0, "step": 0.5}, "c2": 2.0}}
    said = answers(("4", 1.0), ("5", 0.0), ("I do not know.", 0.0), ("a\nb\nc\nd. I don't know.", 0.0))
    kept = refusing.expert_iteration(said, every=1, progress=0.5, notes=notes, retell=retell)
    assert [s.rollout.response[0] for s in kept] == ["4", "I", "a"] and kept[0].weight > kept[2].weight > kept[1].weight > 1
    assert notes["auto_cei"]["climb"]["c1"] == 2.5 and notes["auto_cei"]["counts"] == [0, 0, 0]


def test_a_climb_stays_at_the_best_once_both_sides_were_worse():
    state = {"c1": 1.0, "step": 0.5}
    seen = []
    for _ in range(10):
        seen.append(state["c1"])
        state = refusing.climbed(state, -abs(state["c1"] - 2.0))
    assert seen[:5] == [1.0, 1.5, 2.0, 2.5, 2.0] and set(seen[4:]) <= {2.0, 1.5, 2.5} and state["best_c1"] == 2.0


def test_facts_are_read_as_text_and_a_path_has_one_end_only():
    facts = graphs.facts_in("A | is in | B\n2) a|IS  in|b\nB | is in | B\nb | near | c | d\nb | near | c\nx | y\n" + "z" * 99)
    assert facts == [("a", "is in", "b"), ("b", "near", "c")]
    rng = np.random.default_rng(0)
    assert graphs.paths(facts, 2, rng, 5) == [[facts[0], facts[1]]]
    assert graphs.paths([*facts, ("b", "near", "e")], 2, rng, 5) == [] == graphs.paths([], 1, rng, 5)
    circle = [("a", "r", "b"), ("b", "r", "a")]
    assert graphs.paths(circle, 2, rng, 5) == [], "it would come back to where it began"
    parent = Task(({"role": "user", "content": "?"},), "1", "text", 1)
    task = graphs.question(facts, facts, parent, rng)
    assert task.answer == "c" and task.parents == (parent.id,) and "a is in b" in task.prompt[0]["content"]


def test_a_matrix_of_principles_leaves_out_who_said_the_same_under_both():
    def turn(text):
        return Turn(text, np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0), "end")

    (one,) = answers(("long", 0.0))
    both = replace(one, rollout=replace(one.rollout, others=(turn("short"),)))
    same = replace(one, rollout=replace(one.rollout, others=(turn("long"),)))

    def retell(sample, messages, answer=None):
        asked = (messages[0]["content"], answer)
        return replace(sample, rollout=replace(sample.rollout, turns=asked))

    found = principles.crossed([same, both, one], ("A", "B"), retell=retell)
    cells = [(s.verdict.reward, *s.rollout.turns) for s in found]
    assert cells == [(0, "A", "short"), (1, "A", "long"), (2, "B", "short"), (3, "B", "long")]
    assert {s.group for s in found} == {0} and not any(s.rollout.others for s in found)


def test_a_gap_is_taught_of_pairs_that_are_worth_different_things():
    def pair(first, last, was, now):
        (s,) = answers((last, float(now)))
        verdict = replace(s.verdict, parts={"first": float(was)})
        return replace(s, rollout=replace(s.rollout, turns=(first, last)), verdict=verdict)

    taught = lessons.gaps([pair("5", "4", 0, 1), pair("4", "4", 1, 1), pair("5", "6", 0, 0), pair("4", "5", 1, 0)], "Better.")
    assert [(lesson.steps[0], lesson.targets[0]) for lesson in taught] == [("5", 0.0), ("4", 1.0), ("4", 1.0), ("5", 0.0)]
    assert taught[0].messages[-2]["content"] == "5" and taught[0].group != taught[2].group


def test_a_wrong_answer_earns_nothing_by_its_length():
    samples = answers(("4", 1.0), ("5", 0.0), tokens=(8, 8))
    found = lengths.within_decaying(samples, start=8, end=4, length=0.25, progress=0.0)
    assert [s.verdict.reward for s in found] == [1.0, 0.0]
    late = lengths.within_decaying(samples, start=8, end=4, length=0.25, progress=1.0)
    assert late[0].verdict.reward == 1 / 1.25  # twice the budget of 4
