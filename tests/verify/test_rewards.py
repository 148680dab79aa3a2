"""Format, length, repetition, rubric and their sum: numbers by hand, and what a hacker of rewards would try."""

from functools import partial

import pytest

from sharpen.core import Task, UserError, Verdict
from sharpen.verify import rewards
from sharpen.verify import verdicts as verify
from sharpen.verify.maths import maths

TASK = Task(({"role": "user", "content": "?"},), "3", "f", 1, verifier="math")


def fake(outcome, reward, **more):
    return lambda task, response: Verdict(outcome, reward, **more)


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("<think>a</think><answer>b</answer>", True),
        (" <think>\na\n</think>\n\n<answer> b </answer>\n", True),
        ("<think></think><answer></answer>", True),  # format alone says nothing about content
        ("<answer>b</answer><think>a</think>", False),
        ("<think>a<answer>b</answer></think>", False),
        ("<think>a</think>so<answer>b</answer>", False),
        ("x<think>a</think><answer>b</answer>", False),
        ("<think>a</think><answer>b</answer>x", False),
        ("<think>a</think><think>c</think><answer>b</answer>", False),
        ("<think>a<think>c</think><answer>b</answer>", False),
        ("<think>a</think><answer>b</answer></answer>", False),
        ("<think>a</think><answer>b", False),
        ("</think>a<think><answer>b</answer>", False),
        ("<THINK>a</THINK><answer>b</answer>", False),
        ("a", False),
        ("", False),
        ("<think>" * 100_000, False),
    ],
)
def test_format_tags(response, right):
    verdict = rewards.format_tags(TASK, response)
    assert (verdict.outcome, verdict.reward) == (("correct", 1.0) if right else ("malformed", 0.0))


@pytest.mark.parametrize(("words", "reward"), [(0, 1), (80, 1), (81, 0.95), (90, 0.5), (100, 0), (1000, 0)])
def test_length_budget_is_dapos_ramp_plus_one(words, reward):
    """limit 100, cache 20: free up to 80, then 1/20 a word."""
    verdict = rewards.length_budget(TASK, "word " * words, limit=100, cache=20)
    assert verdict.reward == pytest.approx(reward) and (verdict.outcome == "correct") == (reward == 1)


def test_length_in_characters_and_bad_settings():
    assert rewards.length_budget(TASK, "x" * 15, limit=20, cache=10, unit="characters").reward == 0.5
    for bad in (dict(limit=10, cache=0), dict(limit=10, cache=11), dict(limit=10, cache=5, unit="tokens")):
        with pytest.raises(UserError):
            rewards.length_budget(TASK, "x", **bad)


@pytest.mark.parametrize(
    ("response", "n", "share"),
    [
        ("a b c d", 2, 1.0),
        ("a b a b a b", 2, 2 / 5),  # ab ba ab ba ab
        ("A b a B", 1, 2 / 4),  # blind to case
        ("no no no no", 3, 1 / 2),
        ("short", 4, 1.0),
        ("", 1, 1.0),
        ("ha " * 1000, 4, 1 / 997),
    ],
)
def test_repetition(response, n, share):
    verdict = rewards.repetition(TASK, response, n=n)
    assert verdict.reward == pytest.approx(share) and (verdict.outcome == "correct") == (share >= 0.8)


def judged(response, *items):
    return verify.verify(
        Task(({"role": "user", "content": "?"},), "", "f", 1, verifier="rubric", data={"rubric": items}), response
    )


@pytest.mark.parametrize(
    ("item", "response", "met"),
    [
        (dict(kind="contains", value="Lima"), "it is LIMA.", True),
        (dict(kind="contains", value="Lima"), "it is Quito", False),
        (dict(kind="contains", value="Lima", **{"not": True}), "it is Quito", True),
        (dict(kind="starts_with", value="Dear"), " dear all", True),
        (dict(kind="ends_with", value="Yours"), "Dear all", False),
        (dict(kind="regex", value=r"\d{4}-\d{2}"), "on 2024-05", True),
        (dict(kind="regex", value=r"^\d+$"), "on 2024", False),
        (dict(kind="number", value=12), "there are 12.0 of them", True),
        (dict(kind="number", value=12), "there are 112 of them", False),
        (dict(kind="number", value=12.5), "it costs $12.50", True),
        (dict(kind="number", value=1200), "1,200 people", True),
        (dict(kind="number", value=12), "١٢", False),
        (dict(kind="max_words", value=3), "one two three", True),
        (dict(kind="max_words", value=3), "one two three four", False),
        (dict(kind="min_words", value=2), "one", False),
        (dict(kind="max_characters", value=3), "four", False),
        (dict(kind="min_characters", value=3), "four", True),
    ],
)
def test_rubric_items(item, response, met):
    verdict = judged(response, item)
    assert verdict.correct == met and list(verdict.parts.values()) == [float(met)]


def test_rubric_adds_weights_up():
    items = (dict(kind="contains", value="a", weight=3, name="has a"), dict(kind="contains", value="b"))
    verdict = judged("a", *items)
    assert verdict.reward == 3 / 4 and verdict.outcome == "wrong"
    assert verdict.parts == {"has a": 1.0, "2. contains": 0.0} and verdict.feedback == "Not met: 2. contains."
    assert judged("ab", *items).reward == 1 and judged("ab", *items).correct and judged("", *items).outcome == "malformed"


def test_a_pattern_that_takes_too_long_is_met_neither_way_round():
    for flag in (False, True):
        verdict = judged("a" * 50 + "b", dict(kind="regex", value="^(a|aa)+$", **{"not": flag}))
        assert verdict.outcome == "wrong"
    assert judged("aaaa", dict(kind="regex", value="^(a|aa)+$")).correct  # its honest twin


@pytest.mark.parametrize(
    ("rubric", "told"),
    [
        ([], "not a list with items"),
        ("contains", "not a list with items"),
        ([{"kind": "contain", "value": "a"}], "Did you mean 'contains'?"),
        (["a"], "no known kind"),
        ([{"kind": "contains"}], "needs a text"),
        ([{"kind": "contains", "value": ""}], "needs a text"),
        ([{"kind": "number", "value": "3"}], "needs a number"),
        ([{"kind": "contains", "value": "a", "weigth": 2}], "unknown field 'weigth'"),
        ([{"kind": "contains", "value": "a", "weight": 0}], "above 0"),
        ([{"kind": "contains", "value": "a", "weight": float("nan")}], "above 0"),
        ([{"kind": "regex", "value": "("}], "no pattern"),
        ([{"kind": "contains", "value": "a", "name": "x"}] * 2, "two items"),
    ],
)
def test_a_rubric_that_cannot_be_read_is_unscorable(rubric, told):
    task = Task(({"role": "user", "content": "?"},), "", "f", 1, verifier="rubric", data={"rubric": rubric})
    verdict = verify.verify(task, "a")
    assert verdict.outcome == "unscorable" and told in verdict.feedback


def test_composite_adds_rewards_and_keeps_the_first_outcome():
    parts = {"answer": (maths.math, 0.8), "format": (rewards.format_tags, 0.2)}
    right, wrong = "<think>1+2</think><answer>3</answer>", "<think>1+2</think><answer>4</answer>"
    verdicts = [rewards.composite(TASK, response, parts) for response in (right, "<answer>3</answer>", wrong, "none of these")]
    assert [v.reward for v in verdicts] == pytest.approx([1.0, 0.8, 0.2, 0.0])
    assert [v.outcome for v in verdicts] == ["correct", "correct", "wrong", "malformed"]
    assert verdicts[1].parts == {"answer": 1.0, "format": 0.0} and "tag: same text" in verdicts[1].rule
    gated = [rewards.composite(TASK, response, parts, gate=("format",)) for response in (right, "<answer>3</answer>", wrong)]
    assert [v.reward for v in gated] == pytest.approx([1.0, 0.0, 0.2])
    assert [v.outcome for v in gated] == ["correct", "malformed", "wrong"]


def test_composite_passes_on_what_could_not_be_scored_and_refuses_bad_settings():
    parts = {"a": (fake("correct", 1.0), 1.0), "b": (fake("unscorable", None, feedback="no judge"), 1.0)}
    verdict = rewards.composite(TASK, "x", parts)
    assert verdict.outcome == "unscorable" and verdict.reward is None and "no judge" in verdict.feedback
    for bad in ({}, {"a": (fake("correct", 1.0), 0.0)}):
        with pytest.raises(UserError):
            rewards.composite(TASK, "x", bad)
    with pytest.raises(UserError):
        rewards.composite(TASK, "x", {"a": (fake("correct", 1.0), 1.0)}, gate=("b",))


def test_the_verifiers_fit_a_recipes_slot():
    """As partials: printed and pickled like every slot."""
    import pickle

    made = partial(
        rewards.composite,
        parts={"answer": (maths.math, 1.0), "length": (partial(rewards.length_budget, limit=9, cache=3), 0.5)},
    )
    assert pickle.loads(pickle.dumps(made))(TASK, "The answer is 3").reward == 1.0
