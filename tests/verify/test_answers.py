"""Multiple choice and JSON: the answer in any honest form, and nothing that hedges, overruns or is not what it says."""

import json
import sys

import pytest

from sharpen.core import Task, UserError
from sharpen.verify import verdicts

CHOICES = ["Lima", "Quito", "La Paz", "a dog"]
SCHEMA = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}


def judge(response, answer, verifier, **data):
    return verdicts.verify(Task(({"role": "user", "content": "?"},), answer, "f", 1, verifier=verifier, data=data), response)


@pytest.mark.parametrize(
    "response",
    ["A", "(A)", "A.", "a", "A. Lima", "(A) Lima", "A) Lima", "Lima", "lima.", "**A**", r"\boxed{A}", r"\boxed{\text{(A)}}"]
    + ["<answer>A</answer>", "The answer is A.", "The answer is (A) Lima.", "Answer: Lima", "It is the capital.\nA", "Option A"]
    + ["<think>B?</think>\nA", "The correct answer is A"],
)
@pytest.mark.parametrize("answer", ["A", "Lima", "a"])
def test_the_right_choice(response, answer):
    assert judge(response, answer, "multiple_choice", choices=CHOICES).correct


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        *(("B", "wrong"), ("Quito", "wrong"), ("B. Quito", "wrong"), ("D", "wrong"), ("a dog", "wrong"), ("A dog", "wrong")),
        *(
            ("A or B", "malformed"),
            ("(A) and (B)", "malformed"),
            ("A, B", "malformed"),
            ("A. Quito", "malformed"),
            ("", "malformed"),
        ),
        *(
            ("E", "malformed"),
            ("Lima or Quito", "malformed"),
            ("not A", "malformed"),
            ("A city", "malformed"),
            ("AB", "malformed"),
        ),
        *(("I do not know", "malformed"), ("<answer>A</answer><answer>B</answer>", "wrong"), ("A\nB", "malformed")),
    ],
)
def test_no_other_choice(response, outcome):
    assert judge(response, "A", "multiple_choice", choices=CHOICES).outcome == outcome


def test_choices_may_have_letters_of_their_own_or_none():
    assert judge("(Y) no", "Y", "multiple_choice", choices={"X": "yes", "Y": "no"}).correct
    assert judge("no", "Y", "multiple_choice", choices={"X": "yes", "Y": "no"}).correct
    assert judge("The answer is (C).", "C", "multiple_choice").correct and not judge("D", "C", "multiple_choice").correct
    assert judge("A", "Paris", "multiple_choice", choices=CHOICES).outcome == "unscorable"


@pytest.mark.parametrize(
    "response",
    [
        '{"n": 3}',
        ' {"n":3} ',
        '```json\n{"n": 3}\n```',
        'So:\n```\n{"n": 3}\n```\ndone',
        '<answer>{"n": 3}</answer>',
        '{"n": 3.0}',
    ]
    + ['<think>{"n": 1}</think>{"n": 3}', '```json\n{"n": 1}\n```\nbetter:\n```json\n{"n": 3}\n```'],
)
def test_json_that_fits_schema_and_answer(response):
    verdict = judge(response, '{"n": 3}', "json", schema=SCHEMA)
    assert verdict.correct and verdict.parts == {"parsed": 1, "valid": 1, "equal": 1}, verdict


@pytest.mark.parametrize(
    ("response", "outcome", "parts"),
    [
        ('{"n": 4}', "wrong", (1, 1, 0)),
        ('{"n": 0}', "wrong", (1, 0, 0)),
        ('{"n": true}', "wrong", (1, 0, 0)),
        ('{"n": 3, "m": 1}', "wrong", (1, 0, 0)),
        ("[3]", "wrong", (1, 0, 0)),
        ("3", "wrong", (1, 0, 0)),
        ('{"n": 3', "malformed", (0, 0, 0)),
        ("{'n': 3}", "malformed", (0, 0, 0)),
        ('{"n": NaN}', "malformed", (0, 0, 0)),
        ('{"n": 4, "n": 3}', "malformed", (0, 0, 0)),  # which one would a reader take?
        ('{"n": 3} {"n": 3}', "malformed", (0, 0, 0)),
        ("", "malformed", (0, 0, 0)),
        ("[" * 15_000, "malformed", (0, 0, 0)),
        ("[" * 15_000 + "]" * 4_000, "malformed", (0, 0, 0)),
        ('{"n": ' + "9" * 6_000 + "}", "malformed", (0, 0, 0)),
    ],
)
def test_json_that_does_not(response, outcome, parts):
    verdict = judge(response, '{"n": 3}', "json", schema=SCHEMA)
    assert verdict.outcome == outcome and verdict.parts == dict(zip(("parsed", "valid", "equal"), parts)), verdict
    assert "3" not in verdict.feedback.replace("30", "")  # the right answer is not told


def test_json_by_schema_or_answer_alone():
    assert judge('{"n": 7}', None, "json", schema=SCHEMA).correct
    assert judge('{"b": [1, 2.0], "a": null}', '{"a": null, "b": [1.0, 2]}', "json").correct
    for other in ('{"a": false, "b": [1, 2]}', '{"a": null, "b": [2, 1]}', '{"a": null}', '{"a": null, "b": [true, 2]}'):
        assert judge(other, '{"a": null, "b": [1, 2]}', "json").outcome == "wrong"
    assert judge("0", "false", "json").outcome == "wrong" and judge("1", "true", "json").outcome == "wrong"


def test_what_the_task_gets_wrong_is_unscorable():
    assert judge("3", None, "json").outcome == "unscorable"
    assert judge("3", "{", "json").outcome == "unscorable"
    assert judge("3", None, "json", schema={"type": "nothing"}).outcome == "unscorable"


def test_a_pattern_of_a_schema_has_a_deadline():
    schema = {"type": "string", "pattern": "^(a|a)*$"}
    assert judge(json.dumps("aaaa"), None, "json", schema=schema).correct
    assert judge(json.dumps("a" * 40 + "b"), None, "json", schema=schema).outcome in ("limit", "wrong")
    keys = {"patternProperties": {"^(x+x+)+y$": {"type": "integer"}}}
    assert judge(json.dumps({"x" * 40: 1}), None, "json", schema=keys).outcome in ("limit", "correct")
    assert judge('{"xxy": "no"}', None, "json", schema=keys).outcome == "wrong"


def test_a_schema_fetches_nothing():
    """The address answers nobody: a fetch would raise another error, or warn."""
    schema = {"$ref": "http://127.0.0.1:9/schema.json"}
    task = Task(({"role": "user", "content": "?"},), None, "f", 1, verifier="json", data={"schema": schema})
    verdict = verdicts.boundary(verdicts.verify)(task, "3")
    assert verdict.outcome == "unscorable" and "Unresolvable" in verdict.feedback


def test_too_much_json_is_a_limit():
    assert judge("[" + "1," * 20_000 + "1]", "[1]", "json").outcome == "limit"


def test_without_jsonschema_a_schema_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(UserError, match=r"sharpen\[schema\]"):
        judge("1", None, "json", schema={"type": "integer", "title": "asked for here alone"})
    assert judge("1", "1", "json").correct
