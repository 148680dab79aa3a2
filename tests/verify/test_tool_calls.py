"""Calls of tools: BFCL's rules with its known quirks, every way to write a call, and texts that only look like one."""

from __future__ import annotations

import json

import pytest

from sharpen.core import Task, UserError
from sharpen.verify import tool_calls, verdicts
from sharpen.verify.calls import Call, Unreadable, calls_of

PARAMETERS = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "least": {"type": "float"},
    "exact": {"type": "boolean"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "place": {"type": "dict"},
    "stops": {"type": "array", "items": {"type": "dict"}},
    "pair": {"type": "tuple", "items": {"type": "integer"}},
}
WEATHER = {"name": "weather.get", "parameters": {"type": "dict", "properties": PARAMETERS, "required": ["city"]}}
CLOCK = {
    "type": "function",
    "function": {"name": "clock", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}},
}
TOOLS = [WEATHER, CLOCK]


def task(*expected: dict, tools: object = TOOLS) -> Task:
    return Task(({"role": "user", "content": "?"},), json.dumps(expected), "f", 1, verifier="tool_call", data={"tools": tools})


def want(**arguments: object) -> dict:
    return {"name": "weather.get", "arguments": {"city": ["Lima"], **arguments}}


def said(name: str = "weather.get", **arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


# (accepted values beside the city, given beside the city, right): hand-worked from ast_checker.py
RULES = [
    ({"days": [3]}, {"days": 3}, True),
    ({"days": [3]}, {"days": 3.0}, False),  # 3.0 is no integer
    ({"days": [3]}, {"days": "3"}, False),
    ({"days": [1]}, {"days": True}, False),
    ({"days": [3, 4]}, {"days": 4}, True),
    ({"days": [3]}, {}, False),  # not required by the tool, but expected
    ({"days": [3, ""]}, {}, True),
    ({"days": [3, ""]}, {"days": 5}, False),
    ({}, {"days": 3}, False),  # not expected
    ({}, {"colour": "red"}, False),
    ({"days": ["n"]}, {"days": "n"}, True),  # the name of a variable
    ({"days": ["n"]}, {"days": "N"}, False),
    ({"least": [5]}, {"least": 5}, True),  # a whole number is a float too
    ({"least": [0.5]}, {"least": 0.50}, True),
    ({"exact": [True]}, {"exact": True}, True),
    ({"exact": [True]}, {"exact": 1}, False),
    ({"exact": [True]}, {"exact": "true"}, False),
    ({"tags": [["New York", "b"]]}, {"tags": ["new-york", "B."]}, True),
    ({"tags": [["a", "b"]]}, {"tags": ["b", "a"]}, False),  # lists in order
    ({"tags": [["a"], ""]}, {"tags": []}, True),  # an empty list where nothing would do
    ({"tags": [["a"]]}, {"tags": []}, False),
    ({"tags": [["a"]]}, {"tags": [1]}, False),
    ({"tags": ["ab"]}, {"tags": ["a", "b"]}, False),  # a text is no list of its letters
    ({"place": [{"lat": [1.5], "unit": ["deg", ""]}]}, {"place": {"lat": 1.5}}, True),
    ({"place": [{"lat": [1.5], "unit": ["deg"]}]}, {"place": {"lat": 1.5}}, False),
    ({"place": [{"lat": [1.5]}]}, {"place": {"lat": 1.5, "more": 1}}, False),
    ({"place": [{"in": [{"deep": [1, 2]}]}]}, {"place": {"in": {"deep": 2}}}, True),
    ({"stops": [[{"at": ["A"]}, {"at": ["B"]}]]}, {"stops": [{"at": "a"}, {"at": "b"}]}, True),
    ({"stops": [[{"at": ["A"]}, {"at": ["B"]}]]}, {"stops": [{"at": "b"}, {"at": "a"}]}, False),
    ({"pair": [[1, 2]]}, {"pair": [1, 2]}, True),
]


@pytest.mark.parametrize(("accepted", "given", "right"), RULES)
def test_values_are_judged_by_the_leaderboards_rules(accepted, given, right):
    verdict = verdicts.verify(task(want(**accepted)), said(city="lima", **given))
    assert verdict.correct == right, verdict
    assert verdict.outcome == ("correct" if right else "wrong")


def test_texts_are_blind_to_case_spaces_and_marks_but_not_to_words():
    asked = task({"name": "clock", "arguments": {"zone": ["April 1, 2024"]}})
    assert verdicts.verify(asked, said("clock", zone="april 1,2024")).correct
    assert not verdicts.verify(asked, said("clock", zone="April 2, 2024")).correct


def test_a_required_argument_may_not_be_left_out_even_where_the_answer_would_allow_it():
    asked = task({"name": "weather.get", "arguments": {"city": ["Lima", ""]}})
    assert not verdicts.verify(asked, said()).correct


def test_a_dot_in_a_name_may_be_an_underscore_unless_that_is_another_tool():
    assert verdicts.verify(task(want()), said("weather_get", city="Lima")).correct
    both = [*TOOLS, {**WEATHER, "name": "weather_get"}]
    assert not verdicts.verify(task(want(), tools=both), said("weather_get", city="Lima")).correct
    assert not verdicts.verify(task(want()), said("weather", city="Lima")).correct


def test_parallel_calls_come_in_any_order_and_their_number_counts():
    one, other = want(days=[1]), {"name": "clock", "arguments": {"zone": ["UTC"]}}
    a, b = said(city="Lima", days=1), said("clock", zone="utc")
    assert verdicts.verify(task(one, other), a + b).correct and verdicts.verify(task(one, other), b + a).correct
    for wrong in (a, a + a, a + b + b, a + b + said("clock", zone="GMT")):  # nor can all answers be tried at once
        assert verdicts.verify(task(one, other), wrong).outcome == "wrong"


def test_calls_are_matched_as_well_as_they_can_be():
    """The first expected call would take Lima, which the second alone needs: a greedy match fails in one of the two orders."""
    loose, strict = (
        {"name": "clock", "arguments": {"zone": ["Lima", "Rome"]}},
        {"name": "clock", "arguments": {"zone": ["Lima"]}},
    )
    lima, rome = said("clock", zone="Lima"), said("clock", zone="Rome")
    assert verdicts.verify(task(loose, strict), lima + rome).correct
    assert verdicts.verify(task(loose, strict), rome + lima).correct
    assert not verdicts.verify(task(loose, strict), rome + rome).correct


def test_where_no_tool_helps_saying_so_is_right():
    assert verdicts.verify(task(), "None of these tools can book a flight.").correct
    assert verdicts.verify(task(), said("clock", zone="UTC")).outcome == "wrong"
    assert verdicts.verify(task(), "").outcome == "malformed"


LIMA = [Call("weather.get", {"city": "Lima", "days": 2})]
BODY = '{"name": "weather.get", "arguments": {"city": "Lima", "days": 2}}'
WAYS = [
    (f"<tool_call>{BODY}</tool_call>", "tool_call"),
    (f"<think>f(a=1)</think>Let me see.\n<tool_call>\n{BODY}\n</tool_call>\nDone, with {{braces}}.", "tool_call"),
    (f"<tool_call>{BODY}", "tool_call"),  # the closing mark is often the end of the turn
    (f"<tool_call>[{BODY}]</tool_call>", "tool_call"),
    ('<tool_call>weather.get(city="Lima", days=2)</tool_call>', "tool_call"),
    (f"Here it is:\n```json\n{BODY}\n```", "fence"),
    ('```python\nweather.get(city="Lima", days=2)\n```', "fence"),
    ('```tool_code\n[weather.get(city="Lima", days=2)]\n```', "fence"),
    (BODY, "json"),
    (f"I call {BODY} now.", "json"),
    ('{"name": "weather.get", "parameters": {"city": "Lima", "days": 2}}', "json"),
    (
        '{"type": "function", "function": {"name": "weather.get", "arguments": "{\\"city\\": \\"Lima\\", \\"days\\": 2}"}}',
        "json",
    ),
    ('{"tool_calls": [{"function": {"name": "weather.get", "arguments": {"city": "Lima", "days": 2}}}]}', "json"),
    ('[{"weather.get": {"city": "Lima", "days": 2}}]', "json"),
    ('[weather.get(city="Lima", days=2)]', "python"),
    ("weather.get(city='Lima', days=2)", "python"),
    ("<answer>weather.get(city='Lima', days=2)</answer>", "python"),
]


@pytest.mark.parametrize(("response", "how"), WAYS)
def test_a_call_is_read_however_it_is_written(response, how):
    assert calls_of(response, ("weather.get", "clock")) == (LIMA, how)
    assert verdicts.verify(task(want(days=[2])), response).correct


def test_several_calls_are_read_however_they_are_written():
    two = [Call("f", {"a": 1}), Call("g", {"b": [2, "x"]})]
    one, other = '{"name": "f", "arguments": {"a": 1}}', '{"name": "g", "arguments": {"b": [2, "x"]}}'
    lines = 'f(a=1)\ng(b=[2, "x"])'
    for text in (f"[{one}, {other}]", f"{one}\n{other}", f"{one}; {other}", f"```\n{one}\n```\n```\n{other}\n```", lines):
        assert calls_of(text)[0] == two, text
    for text in (
        '[f(a=1), g(b=[2, "x"])]',
        'f(a=1), g(b=[2, "x"])',
        f"<tool_call>{one}</tool_call><tool_call>{other}</tool_call>",
    ):
        assert calls_of(text)[0] == two, text


def test_pythons_notation_is_read_and_nothing_of_it_is_run(tmp_path):
    written = "f(a=-2.5, b=(1, 2), c={'k': [True, None]}, d=true, e=name, g=2**9, h=+3)"
    ((call,), _) = calls_of(written)
    assert call.arguments == {
        "a": -2.5,
        "b": (1, 2),
        "c": {"k": [True, None]},
        "d": True,
        "e": "name",
        "g": "2 ** 9",  # no arithmetic is done
        "h": 3,
    }
    mark = tmp_path / "run"
    evil = f"f(a=__import__('os').system('touch {mark}'), b=[open({str(mark)!r}, 'w') for _ in 'x'])"
    assert isinstance(calls_of(evil)[0][0].arguments["a"], str) and not mark.exists()
    assert calls_of("f(1, 2)")[0] == [Call("f", {"": None})]  # an argument without a name fits none
    assert calls_of("f(**x)")[0] == [Call("f", {"": "x"})]


@pytest.mark.parametrize(
    "text",
    [
        "f(x)(y)",
        "x = f(a=1)",
        "f(a=1); import os",
        "def f(): pass",
        "(f)(a=1) + 1",
        "f(a=1) if x else 2",
        "[1, f(a=1)]",
        "hello (there)",
    ],
)
def test_what_is_no_call_in_python_is_none(text):
    assert calls_of(text) == ([], "none")


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call></tool_call>",
        '<tool_call>{"name": "clock", "arguments": {"zone": "UTC"}',
        '{"name": "clock", "arguments": {"zone": "UTC", "zone": "GMT"}}',
        '{"name": "clock", "arguments": {"zone": NaN}}',
        '{"name": "clock", "arguments": [1]}',
        '{"name": "clock", "arguments": "{"}',
        '{"zone": "UTC"}',
        '{"name": "clock", "arguments": {}} and not {"name": "clock"',
        '{"name": ' + "[" * 5_000,
        "x" * 30_000,
    ],
)
def test_broken_calls_are_malformed_and_cost_nothing(text):
    with pytest.raises(Unreadable):
        calls_of(text, ("clock",))
    assert verdicts.verify(task({"name": "clock", "arguments": {"zone": ["UTC", ""]}}), text).outcome == "malformed"


@pytest.mark.parametrize(
    "inner",
    [
        "-" * 9_000 + "1",
        "not " * 3_000 + "x",
        "1+" * 9_000 + "1",
        "(" * 5_000,
        "x." * 5_000 + "y",
        "lambda: " * 2_000 + "1",
        "9" * 9_000,
    ],
)
def test_texts_that_python_cannot_parse_are_malformed_not_our_fault(inner):
    verdict = verdicts.verify(task(want()), f"weather.get(city={inner})")
    assert verdict.outcome in ("malformed", "wrong")


def test_numbers_that_are_too_large_are_wrong_not_an_error():
    assert verdicts.verify(task(want(least=[1.0])), said(city="Lima", least=10**400)).outcome == "wrong"
    assert verdicts.verify(task(want(least=[1.0])), "weather.get(city='Lima', least=1e999)").outcome == "wrong"


def test_a_task_that_cannot_be_judged_is_unscorable_and_says_why():
    for broken in (
        task(want(), tools=[{"parameters": {}}]),
        task(want(), tools="clock"),
        task({"call": "clock", "arguments": {}}),
    ):
        verdict = tool_calls.tool_call(broken, said(city="Lima"))
        assert verdict.outcome == "unscorable" and verdict.feedback
    assert "none of the tools" in tool_calls.problem(task({"name": "clok", "arguments": {}}))
    with pytest.raises(UserError, match="no accepted value"):
        tool_calls.expected_calls([{"name": "clock", "arguments": {"zone": []}}])


def test_answers_are_read_as_bfcl_and_as_people_write_them():
    plain = [{"name": "clock", "arguments": {"zone": "UTC"}}]
    assert tool_calls.expected_calls([{"clock": {"zone": ["UTC"]}}]) == tool_calls.expected_calls(json.dumps(plain))


def test_the_right_response_of_a_task_is_right():
    for expected in (
        [want(days=["", 3], tags=[["a"], ""])],
        [want(place=[{"lat": [1, 2], "unit": ["", "deg"]}]), {"name": "clock", "arguments": {"zone": ["", "UTC"]}}],
        [{"name": "weather.get", "arguments": {"city": ["", "Lima"]}}],
        [],
    ):
        assert verdicts.verify(task(*expected), tool_calls.right_calls(task(*expected))).correct, expected


def test_tools_are_shown_with_the_types_of_json_schema():
    shown = tool_calls.shown_tools(
        [*TOOLS, {"name": "any", "parameters": {"properties": {"x": {"type": "any", "enum": ["type"]}}}}]
    )
    properties = shown[0]["function"]["parameters"]["properties"]
    assert properties["place"]["type"] == "object" and properties["least"]["type"] == "number"
    assert properties["stops"]["items"] == {"type": "object"} and shown[0]["function"]["parameters"]["type"] == "object"
    assert shown[1] == CLOCK and shown[2]["function"]["parameters"]["properties"]["x"] == {"enum": ["type"]}
    assert '"weather.get"' in tool_calls.tools_told(TOOLS) and "<tool_call>" in tool_calls.tools_told(TOOLS)
