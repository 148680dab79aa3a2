"""Searches, splices and ledgers: three sends where no model is needed, the micro student where its tokens count."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sharpen import models, rollouts, tasks
from sharpen.core import PLAIN, Arm, Ask, Ledger, Sampling, Scored, Task, Turn, Verdict
from sharpen.models import ScriptedPolicy, embedded
from sharpen.rollouts import drive, search, values
from sharpen.verify import judge

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sum", 1)
SOURCE = tasks.parse_spec("chain_sum/1-2")
HOW = dict(seed=0, max_tokens=24, sampling=PLAIN)


@pytest.fixture(scope="module")
def student():
    return models.LocalPolicy(*embedded.build("micro", SOURCE, 0), precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def task():
    return SOURCE.draw(Arm("chain_sum", 1), "test", 0, 0)


def scripted(*answers):
    given = iter(answers)
    return ScriptedPolicy(lambda messages: next(given))


def once(rollout, policy, task=TASK, **more):
    (made,) = drive(policy, rollout, [task], ["a"], **{**HOW, **more})
    assert made.stop != "failed", made.response
    return made


def test_best_of_takes_the_first_of_the_best_and_stops_when_it_is_good_enough():
    made = once(partial(search.best_of, n=4, value=values.by_verifier), scripted("1", "<answer>4</answer>", "4", "5"))
    assert made.response == "<answer>4</answer>" and made.spent.calls == 4
    by_twos = partial(search.best_of, n=4, value=values.by_verifier, at_once=2, enough=1.0)
    made = once(by_twos, scripted("<answer>1</answer>", "<answer>4</answer>", "x", "x"))
    assert made.response == "<answer>4</answer>" and made.spent.calls == 2


@pytest.mark.parametrize(
    "said, chosen",
    [
        (("<answer>5</answer>", "<answer> 4</answer>", "<answer>4</answer>", "nothing"), "<answer> 4</answer>"),
        (("nothing", "at all"), "nothing"),  # nobody voted: the first
    ],
)
def test_a_majority_counts_answers_that_can_be_read(said, chosen):
    assert once(partial(search.majority, n=len(said)), scripted(*said)).response == chosen


def test_votes_by_rank_are_a_majority_at_power_nothing_and_the_best_at_a_high_power():
    """Borda (arXiv 2502.18581): ranks 1, 2, 3 have 3^p, 2^p, 1 votes: at p = 4 81 > 16 + 1, at p = 0.5 1.73 < 1.41 + 1."""

    def value(task, turns):
        yield from ()
        return [0.9 if "7" in turn.text else 0.1 for turn in turns]

    said = ("<answer>4</answer>", "<answer>4</answer>", "<answer>7</answer>")
    for power, answer in ((0.0, "4"), (0.5, "4"), (4.0, "7")):
        assert answer in once(partial(search.majority, n=3, value=value, power=power), scripted(*said)).response


@pytest.mark.parametrize("name", ["best_of=3", "majority=3", "beam=2", "mcts=8", "best_first=3"])
def test_every_search_with_a_name_returns_a_whole_answer_that_the_student_wrote(name, student, task):
    steps = dict(step=4, steps=4, branch=2)
    made = once(search.named(name, values.by_likelihood, **steps), student, task)
    tokens = made.tokens[made.sampled]
    text = student.text(tokens)
    assert text.startswith(made.response) and made.spent.sampled >= len(tokens) and made.spent.calls > 1
    (again,) = drive(student, search.named(name, values.by_likelihood, **steps), [task], ["a"], **HOW)
    assert np.array_equal(again.tokens, made.tokens)  # and the same again
    spans = np.zeros(len(made.tokens), bool)
    for span in made.spans:
        spans[span.start : span.stop] = True
    assert np.array_equal(spans, made.sampled)


def test_branches_of_a_tree_begin_where_their_parents_end_and_count_their_visits(student, task):
    made = once(partial(search.tree, scored=10, step=3, steps=4, branch=2), student, task)
    assert made.branches and sum(b.visits for b in made.branches if b.parent < 0) >= 10
    for branch in made.branches:
        if branch.parent >= 0:
            before = made.branches[branch.parent].turn.tokens
            assert branch.start == len(before) and np.array_equal(branch.turn.tokens[: len(before)], before)


def test_names_of_searches_are_checked():
    for text in ("best_of", "best_of=0", "mcts=x", "astar=3", "=3"):
        with pytest.raises(ValueError, match="is no search"):
            search.named(text)


# Splices


def spliced(task, parts=(5, 4)):
    turn = yield Ask(task.prompt, max_tokens=parts[0])
    for n in (*parts[1:], HOW["max_tokens"] - sum(parts)):
        turn = yield Ask((), after=turn, max_tokens=n)
    return turn


@pytest.mark.parametrize("sampling", [PLAIN, Sampling(temperature=0.0), Sampling(temperature=0.7, top_k=5)])
def test_a_turn_that_is_interrupted_goes_on_as_if_it_had_not_been(sampling, student, task):
    whole, parts = (once(r, student, task, sampling=sampling) for r in (rollouts.single, spliced))
    assert np.array_equal(whole.tokens, parts.tokens) and np.array_equal(whole.sampled, parts.sampled)
    np.testing.assert_allclose(whole.logprobs, parts.logprobs, atol=1e-5)
    assert parts.spent.sampled == whole.spent.sampled and [s.turn for s in parts.spans] == [0, 1, 2]


def test_forks_share_what_they_are_cut_at_and_differ_behind_it(student, task):
    seen = []

    def forked(task):
        turn = yield Ask(task.prompt)
        at = turn.begin + 5
        seen.extend((yield [Ask((), after=turn, cut=at)] * 4))
        return seen[0]

    once(forked, student, task)
    at = seen[0].begin + 5
    assert len({t.tokens[:at].tobytes() for t in seen}) == 1 and len({t.tokens.tobytes() for t in seen}) == 4
    assert all(t.spans[0].stop == at and t.spans[1].start == at for t in seen)


def test_what_is_inserted_is_context_and_a_cut_takes_what_was_behind_it(student, task):
    def hinted(task):
        turn = yield Ask(task.prompt, max_tokens=8)
        return (yield Ask((), after=turn, cut=turn.begin + 3, insert="99", max_tokens=4))

    made = once(hinted, student, task)
    n = len(student.encode("99"))
    on = np.flatnonzero(made.sampled)
    begin = on[0]
    assert len(made.tokens) == begin + 3 + n + 4 and on.tolist() == [
        *range(begin, begin + 3),
        *range(begin + 3 + n, begin + 7 + n),
    ]
    assert student.text(made.tokens[begin + 3 : begin + 3 + n]) == "99" and not made.logprobs[begin + 3 : begin + 3 + n].any()


def test_a_cut_outside_of_its_turn_costs_its_own_rollout(student, task):
    def bad(task):
        turn = yield Ask(task.prompt)
        return (yield Ask((), after=turn, cut=0))

    (made,) = drive(student, bad, [task], ["a"], **HOW)
    assert made.stop == "failed" and "cannot be cut at 0" in made.response
    with pytest.raises(ValueError, match="only a turn that goes on"):
        Ask(task.prompt, cut=3)


# Ledgers


def test_the_ledger_is_what_was_drawn_and_read_and_asked():
    """ "<user>2 + 2 =" is 13 bytes; the second ask reads them, the answer "ab" and "<user>?" (7 bytes)."""
    seen = []

    def two(task, *, ledger):
        first = yield Ask(task.prompt)
        seen.append(ledger.now)
        return (yield Ask(({"role": "user", "content": "?"},), after=first))

    made = once(two, scripted("ab", "cde"))
    assert replace(seen[0], seconds=0.0) == Ledger(sampled=2, read=13, calls=1)
    assert replace(made.spent, seconds=0.0) == Ledger(sampled=5, read=13 + 13 + 2 + 7, calls=2)


def test_a_role_with_a_price_costs_money_and_what_is_forced_costs_nothing():
    """13 bytes read at 2 and 4 written at 5, for a million: 46e-6."""
    rival = ScriptedPolicy(lambda m: "good")
    rival.price = (2.0, 5.0)

    def asking(task):
        yield Ask(task.prompt, answer="forced")
        yield Ask(task.prompt, role="rival")
        return (yield Ask(task.prompt))

    made = once(asking, scripted("x"), roles={"rival": rival})
    assert made.spent.money == pytest.approx(46e-6) and made.spent.calls == 2 and made.spent.sampled == 5


def thrifty(task, response, *, ledger):
    return Verdict("correct", 1.0 / (1 + ledger.calls))


def test_a_verifier_reads_the_ledger_by_asking_for_it():
    made = once(partial(search.best_of, n=3), scripted("a", "b", "c"))
    (sample,) = judge([made], [0], thrifty)
    assert sample.verdict.reward == 0.25


# Values


def turn(text, logprobs=(-1.0, -3.0), stop="end"):
    n = len(logprobs)
    return Turn(text, np.arange(n, dtype=np.int32), np.ones(n, bool), np.array(logprobs, np.float32), stop)


def test_values_from_tokens_and_words():
    (likelihood,) = _result(values.by_likelihood(TASK, [turn("4")]))
    assert likelihood == pytest.approx(np.exp(-2.0))
    assert [values.rated(text) for text in ("7", "I say 12.", "3.5 of 10", "none")] == [0.7, 1.0, 0.35, 0.5]


def test_a_right_beginning_that_ended_is_no_right_answer():
    """Each number so far is right in both; the one that has ended is judged as an answer, and is none."""
    asking = values.by_steps(TASK, [turn("2 +", stop="stop"), turn("2 +")], check=lambda task, text: 1.0)
    assert [event.response for event in next(asking)] == ["2 +"]
    with pytest.raises(StopIteration) as end:
        asking.send([Verdict("malformed", 0.0)])
    assert end.value.value == [1.0, 0.0]


def test_a_reward_models_score_becomes_a_share():
    """sigmoid(0) and sigmoid(ln 3) = 3/4; one far off overflows nothing."""
    asking = values.by_reward(TASK, [turn("a"), turn("b"), turn("c")])
    assert [event.steps for event in next(asking)] == [("a",), ("b",), ("c",)]
    with pytest.raises(StopIteration) as end:
        asking.send([Scored(np.array([x], np.float32)) for x in (0.0, np.log(3), -1e9)])
    assert end.value.value == pytest.approx([0.5, 0.75, 0.0])


def test_a_role_is_asked_about_the_whole_answer():
    asked = next(values.by_role(TASK, [replace(turn("b"), whole="ab"), turn("c", stop="length")]))
    assert [ask.messages[1]["content"] for ask in asked] == ["ab", "c"]
    assert "answer is right" in asked[0].messages[2]["content"] and "beginning is right" in asked[1].messages[2]["content"]


def test_playouts_judge_where_a_beginning_leads(student, task):
    """Scripted: a beginning is continued twice, once rightly; what has ended is judged as it is."""
    generator = values.by_playouts(TASK, [turn("4"), turn("2 + 2", stop="length")], playouts=2)
    asks = next(generator)
    assert len(asks) == 2 and all(ask.cut == 2 for ask in asks)
    judged = generator.send([turn("<answer>4</answer>"), turn("<answer>5</answer>")])
    assert [event.response for event in judged] == ["4", "<answer>4</answer>", "<answer>5</answer>"]
    with pytest.raises(StopIteration) as end:
        generator.send([Verdict("wrong", 0.0), Verdict("correct", 1.0), Verdict("wrong", 0.0)])
    assert end.value.value == [0.0, 0.5]


def test_certainty_measures_the_turns_own_tokens(student, task):
    seen = []

    def measured(task):
        turn = yield Ask(task.prompt)
        seen.extend((yield from values.by_certainty(task, [turn])))
        return turn

    once(measured, student, task)
    assert 0 < seen[0] < 1


def _result(generator):
    with pytest.raises(StopIteration) as end:
        next(generator)
    return end.value.value
