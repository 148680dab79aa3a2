"""What a chat model is told is what its verifier reads; and what a line of a file has to say for each verifier."""

from __future__ import annotations

import json
from functools import partial

import pytest

from sharpen.core import Task, UserError, Verdict
from sharpen.verify import (
    INSTRUCTIONS,
    VERIFIERS,
    accepts_its_own,
    each_turn,
    exact,
    improvement,
    instruction,
    instructions_for,
    judged,
    rewards,
    task_fields,
    verify,
    with_choices,
)
from sharpen.verify.maths.maths import math


def task(verifier: str, answer: str | None = "5", prompt: str = "2 + 3 =", **data: object) -> Task:
    return Task(({"role": "user", "content": prompt},), answer, "f", 1, verifier=verifier, data=data)


# (verifier, answer, data, the answer in the form that the instruction asks for)
TOLD = [
    ("exact", "b a", {}, "I turn it round, and this comes out.\nb a"),
    ("exact", "b a", {}, "b a"),
    ("exact", "['8', '1']", {}, "Two of them are left over. The answer is ['8', '1']."),
    ("exact", "5 8\n0 7", {}, "I turn it.\n<answer>\n5 8\n0 7\n</answer>"),
    ("choice", "True", {}, "Both of them hold, so it is so.\nTrue"),
    ("number", "12", {}, "3 * 4 is 12. The answer is 12."),
    ("number", "-3.5", {}, "The answer is -3.5."),
    ("numbers", "1, 2, 3", {}, "1, 2, 3"),
    ("math", "\\frac{1}{2}", {}, "It is half. The answer is 1/2."),
    ("multiple_choice", "B", {"choices": ["Lima", "Rome"]}, "The answer is B."),
    ("multiple_choice", "A, C", {"choices": ["1", "4", "3"]}, "The answer is A, C."),
    ("json", '{"n": 1}', {}, '{"n": 1}'),
]


@pytest.mark.parametrize(("verifier", "answer", "data", "said"), TOLD)
def test_an_answer_in_the_form_that_is_told_is_read(verifier, answer, data, said):
    """And it is read there: the same form with another answer is wrong, with the right one in the sentence before it."""
    asked = task(verifier, answer, **data)
    form = instruction(asked)
    for mark in ("<answer>", "The answer is"):
        assert (mark in form) == (mark in said)
    assert verify(asked, said).correct
    if verifier != "json":
        other = {"math": "7", "number": "7", "numbers": "7, 8", "multiple_choice": "D"}.get(verifier, "false")
        spoilt = f"It might be {answer}. The answer is {other}."
        assert not verify(asked, spoilt).correct


def test_every_verifier_has_its_instruction_and_no_other_name_has():
    assert set(INSTRUCTIONS) - set(VERIFIERS) == {
        "multiple_choice, several",
        "a text of several lines",
        "a text of numbers",
    } and set(VERIFIERS) <= set(INSTRUCTIONS)


def test_an_instruction_names_what_is_the_tasks_own():
    assert "```cpp" in instruction(task("code_io", None, language="cpp"))
    assert '{"type": "array"}' in instruction(task("json", None, schema={"type": "array"}))
    assert "{" not in instruction(task("json", "[1]"))
    choices = {"choices": ["1", "2", "3"]}
    assert instruction(task("multiple_choice", "A", **choices)) != instruction(task("multiple_choice", "A, B", **choices))


@pytest.mark.parametrize(
    "says", ["Write <answer>x</answer>.", "Put it in \\boxed{}.", "End with #### and the number.", "```json"]
)
def test_a_prompt_that_says_how_to_answer_is_left_alone(says):
    assert instruction(task("number")) and not instruction(task("number", prompt=f"2 + 3 =\n{says}"))


def own(task: Task, response: str) -> Verdict:
    return Verdict("correct", 1.0)


def test_what_is_told_is_of_the_function_that_judges():
    assert instructions_for(verify) is INSTRUCTIONS
    assert instructions_for(partial(each_turn, shape=improvement)) is INSTRUCTIONS
    assert set(instructions_for(math).values()) == {INSTRUCTIONS["math"]}  # whatever the tasks name
    assert set(instructions_for(exact).values()) == {INSTRUCTIONS["exact"]}
    both = partial(rewards.composite, parts={"answer": (math, 0.9), "short": (rewards.repetition, 0.1)})
    assert set(instructions_for(both).values()) == {INSTRUCTIONS["math"]}
    for unknown in (own, partial(own), judged):  # only its author knows what it reads
        assert instructions_for(unknown) == {}


# Lines of files


LINES = [
    ({"answer": "5"}, "number", "5", {}),
    ({"answer": 5, "accept": [6]}, "number", "5", {"accept": ["6"]}),
    ({"answer": ["LIM", "Lima"]}, "exact", "LIM", {"accept": ["Lima"]}),
    ({"answer": [1, 2]}, "numbers", "1, 2", {}),
    ({"answer": 1, "choices": ["a", "b"]}, "multiple_choice", "B", {"choices": ["a", "b"]}),
    ({"answer": ["A", "C"], "choices": ["a", "b", "c"]}, "multiple_choice", "A, C", {"choices": ["a", "b", "c"]}),
    ({"answer": {"n": 1}, "schema": {"type": "object"}}, "json", '{"n": 1}', {"schema": {"type": "object"}}),
    ({"schema": {"type": "object"}}, "json", None, {"schema": {"type": "object"}}),
    ({"rubric": [{"kind": "max_words", "value": 9}]}, "rubric", None, {"rubric": [{"kind": "max_words", "value": 9}]}),
    ({"criteria": ["Is it polite?"], "answer": "hello"}, "judge", "hello", {"criteria": ["Is it polite?"]}),
    ({"answer": [], "tools": [{"name": "f"}]}, "tool_call", "[]", {"tools": [{"name": "f"}]}),
]


@pytest.mark.parametrize(("line", "verifier", "answer", "data"), LINES)
def test_a_line_says_answer_and_data_of_its_verifier_and_nothing_else_is_taken(line, verifier, answer, data):
    assert task_fields(verifier, {**line, "difficulty": "hard", "unused": 1}) == (answer, data)
    assert accepts_its_own(task(verifier, answer, **data))


@pytest.mark.parametrize(
    ("line", "verifier", "why"),
    [
        ({}, "number", "needs an 'answer'"),
        ({"answer": ["5"], "accept": "6"}, "number", "list of further right answers"),
        ({}, "json", "'schema'"),
        ({}, "rubric", "rubric"),
        ({"rubric": [{"kind": "max_word", "value": 9}]}, "rubric", "max_words"),
        ({"criteria": "polite?"}, "judge", "list of texts"),
        ({"answer": [{"name": "g"}], "tools": [{"name": "f"}]}, "tool_call", "none of the tools: f"),
        ({"answer": 7, "choices": ["a", "b"]}, "multiple_choice", "no place"),
    ],
)
def test_what_is_missing_or_misshapen_is_said(line, verifier, why):
    with pytest.raises(UserError, match=why):
        task_fields(verifier, line)


def test_an_answer_that_its_verifier_does_not_accept_is_found():
    assert not accepts_its_own(task("number", "five"))
    assert not accepts_its_own(task("multiple_choice", "C", choices=["a", "b"]))
    assert not accepts_its_own(task("json", "[1]", schema={"type": "object"}))
    assert not accepts_its_own(task("tool_call", json.dumps([{"name": "f", "arguments": {"a": ["x"]}}]), tools=[{"name": "f"}]))


def test_choices_stand_below_the_question_unless_it_has_them():
    assert with_choices("Capital of Peru?", ["Lima", "Rome"]) == "Capital of Peru?\nA. Lima\nB. Rome"
    assert with_choices("Lima or Rome?", {"x": "Lima", "y": "Rome"}) == "Lima or Rome?"
    assert with_choices("Capital?", {"x": "Lima", "y": "Rome"}) == "Capital?\nX. Lima\nY. Rome"
    assert with_choices("Capital?", None) == "Capital?"
