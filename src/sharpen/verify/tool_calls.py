"""Calls of tools, judged as the Berkeley Function Calling Leaderboard judges them: names, types, accepted values, any order.

Source: `ast_checker.py` of ShishirPatil/gorilla, berkeley-function-call-leaderboard, commit 6ea5797, for Python. Of it are:

1. As many calls as are expected, in any order. Names are compared letter for letter; a dot may be written as an underscore,
   since some servers allow no dots.
2. An argument that the tool does not have, or that is not expected, is wrong. So is one that is missing and required, or whose
   accepted values do not hold "", the mark of what may be left out.
3. A value is of the type that the tool says: a whole number is a float too, but 5.0 is no integer, and true is no number. Where
   the accepted values are of another type, such as the name of a variable, their type is right as well.
4. Texts are compared blind to case, spaces, and the marks , . / - _ * ^, and with either kind of quotes; so are those in lists
   and those of an object. Numbers are compared exactly, lists in order.
5. The accepted value of an object has a list of accepted values for each key; "" in it: the key may be left out. A list of
   objects is compared in order.
6. An empty list is accepted where "" is.

It differs in three things. Calls are matched as well as they can be, where the original takes the first that fits, and may so
refuse the right calls in another order. Objects may stand in objects. A text is no list of its letters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import Task, UserError, Verdict
from sharpen.verify.calls import Call, Unreadable, calls_of

VERSION = "1"
MOST_CALLS = 100
TYPES: dict[str, type | None] = {
    **dict.fromkeys(("string", "str", "char", "String"), str),
    **dict.fromkeys(("integer", "int", "long", "short", "byte", "Bigint"), int),
    **dict.fromkeys(("float", "number", "double"), float),
    **dict.fromkeys(("boolean", "bool", "Boolean"), bool),
    **dict.fromkeys(("array", "list", "tuple", "Array", "ArrayList"), list),
    **dict.fromkeys(("dict", "object", "HashMap"), dict),
    "any": None,
}
OPENAPI = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}
IGNORED = re.compile(r"[ ,./\-_*^]")

TOLD = """You may call these tools, each described by a line of JSON:
{tools}
To call one, write a JSON object with its name and its arguments between tags, and one such object for each call:
<tool_call>
{{"name": "…", "arguments": {{"…": …}}}}
</tool_call>"""


def tool_call(task: Task, response: str) -> Verdict:
    """The calls in the response are those that are expected, by the rules above. calls.py says how they are found.

    Task data `tools`: a list of JSON Schemas of functions, bare or as OpenAI writes them. `answer`: JSON, a list of calls
    {"name", "arguments": {argument: [accepted values]}}; [] where none is right. `malformed`: no call, or one that cannot be
    read. Parts: `parsed`, `named` (the right tools are called as often as they are to be), `equal`.
    """
    try:
        tools, expected = functions(task.data.get("tools", ())), expected_calls(task.answer)
    except UserError as error:
        return Verdict("unscorable", None, feedback=str(error), rule="tool calls", version=VERSION)
    parts = {"parsed": 0.0, "named": 0.0, "equal": 0.0}
    if not response.strip():
        return Verdict("malformed", 0.0, parts, "There is no answer.", "none: tool calls", VERSION)
    try:
        made, how = calls_of(response, tools)
    except Unreadable as error:
        return Verdict("malformed", 0.0, parts, f"The calls cannot be read: {error}.", "broken: tool calls", VERSION)
    rule = f"{how}: tool calls"
    if not made and expected:
        return Verdict("malformed", 0.0, parts, "No tool is called.", rule, VERSION)
    parts["parsed"] = 1.0
    parts["named"] = float(sorted(spelt(c.name) for c in made) == sorted(spelt(e.name) for e in expected))
    if len(made) != len(expected):
        return Verdict("wrong", 0.0, parts, "The number of calls is wrong.", rule, VERSION)
    parts["equal"] = float(matched(made, expected, tools))
    if parts["equal"]:
        return Verdict("correct", 1.0, parts, rule=rule, version=VERSION)
    feedback = "A call has wrong arguments." if parts["named"] else "Another tool is to be called."
    return Verdict("wrong", 0.0, parts, feedback, rule, VERSION)


# What a task says.


def functions(tools: Any) -> dict[str, Mapping[str, Any]]:
    """{name: function} of a task's tools. Raises UserError where they are no list of functions."""
    found: dict[str, Mapping[str, Any]] = {}
    if not isinstance(tools, list | tuple):
        raise UserError("'tools' must be a list of functions, each with a name and its parameters as JSON Schema.")
    for number, tool in enumerate(tools, 1):
        function = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
            raise UserError(f'tool {number} has no name: it must be {{"name": …, "parameters": {{…}}}}.')
        if not isinstance(function.get("parameters", {}), Mapping):
            raise UserError(f"tool {number}, {function['name']}: 'parameters' must be an object, a JSON Schema.")
        if function["name"] in found:
            raise UserError(f"two tools are called {function['name']!r}.")
        found[function["name"]] = function
        for name, parameter in properties(function).items():
            if not isinstance(parameter, Mapping):
                raise UserError(f"tool {function['name']}: the parameter {name!r} must be an object, a JSON Schema.")
    return found


def expected_calls(answer: Any) -> list[Call]:
    """The calls of a task's answer, JSON as text or read already: each argument with its accepted values. Raises UserError.

    A value that is no list is the only one that is accepted. `{"get_time": {"zone": ["UTC"]}}`, as BFCL writes it, is read too.
    """
    try:
        listed = json.loads(answer) if isinstance(answer, str) else answer
    except (ValueError, RecursionError) as error:
        raise UserError(f"the answer is no JSON: {error}") from error
    listed = [listed] if isinstance(listed, Mapping) else listed
    if not isinstance(listed, list) or len(listed) > MOST_CALLS:
        raise UserError(f"the answer must be a list of at most {MOST_CALLS} calls, {FORM}.")
    found = []
    for item in listed:
        if isinstance(item, Mapping) and "name" not in item and len(item) == 1:
            ((name, arguments),) = item.items()
        else:
            name, arguments = (item.get("name"), item.get("arguments", {})) if isinstance(item, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(arguments, Mapping):
            raise UserError(f"{json.dumps(item)[:60]} is no call: it must be {FORM}.")
        accepted = {key: value if isinstance(value, list) else [value] for key, value in arguments.items()}
        if empty := next((key for key, values in accepted.items() if not values), None):
            raise UserError(f"the argument {empty!r} of {name} has no accepted value: [[]] accepts an empty list.")
        found.append(Call(name, accepted))
    return found


FORM = '{"name": "get_time", "arguments": {"zone": ["UTC", "GMT"]}}'


def properties(function: Mapping[str, Any]) -> Mapping[str, Any]:
    found = function.get("parameters", {}).get("properties", {})
    return found if isinstance(found, Mapping) else {}


def problem(task: Task) -> str:
    """What is wrong with a task of calls, or ""."""
    try:
        tools, expected = functions(task.data.get("tools", ())), expected_calls(task.answer)
    except UserError as error:
        return str(error)
    for call in expected if tools else ():
        if call.name not in tools:
            return f"the answer calls {call.name!r}, which is none of the tools: {', '.join(tools)}."
    return ""


def right_calls(task: Task) -> str:
    """A right response: the calls as a model writes them, with the first accepted value of all that may not be left out."""
    tools, said = functions(task.data.get("tools", ())), []
    for call in expected_calls(task.answer):
        required = tools.get(call.name, {}).get("parameters", {}).get("required") or ()
        given = {name: first(values) for name, values in call.arguments.items() if name in required or "" not in values}
        said.append(f"<tool_call>\n{json.dumps({'name': call.name, 'arguments': given}, ensure_ascii=False)}\n</tool_call>")
    return "\n".join(said) or "None of the tools helps here."


def first(values: Sequence[Any]) -> Any:
    """The first accepted value that is one; an object's keys with the first of theirs."""
    value = next((each for each in values if each != ""), "")
    if isinstance(value, dict):
        return {k: first(v) if isinstance(v, list) else v for k, v in value.items() if not (isinstance(v, list) and "" in v)}
    if isinstance(value, list):
        return [first([item]) if isinstance(item, dict) else item for item in value]
    return value


def shown_tools(tools: Any) -> list[dict[str, Any]]:
    """Tools as chat templates take them: OpenAI's form, with the names of types that JSON Schema has."""
    return [{"type": "function", "function": standard(dict(function))} for function in functions(tools).values()]


def standard(schema: Any) -> Any:
    """A schema with JSON Schema's names of types; one of any type says none."""
    if isinstance(schema, list):
        return [standard(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: standard(value) for key, value in schema.items()}
    if isinstance(kind := found.get("type"), str) and kind in TYPES:
        python = TYPES[kind]
        found = {k: v for k, v in found.items() if k != "type"} if python is None else found | {"type": OPENAPI[python]}
    return found


def tools_told(tools: Any) -> str:
    """What a model is told of tools where its chat template has no place for them."""
    return TOLD.format(tools="\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in shown_tools(tools)))


# Comparing.


def spelt(name: str) -> str:
    return name.replace(".", "_")


def matched(made: Sequence[Call], expected: Sequence[Call], tools: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether each call can be given an expected one of its own that it fits: a perfect matching, by augmenting paths."""
    fits = [[right(call, want, tools) for want in expected] for call in made]
    taken: dict[int, int] = {}  # expected -> made

    def place(i: int, tried: set[int]) -> bool:
        for j in (j for j, fit in enumerate(fits[i]) if fit and j not in tried):
            tried.add(j)
            if j not in taken or place(taken[j], tried):
                taken[j] = i
                return True
        return False

    return all(place(i, set()) for i in range(len(made)))


def right(call: Call, want: Call, tools: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a call is the expected one."""
    if call.name != want.name and (call.name != spelt(want.name) or call.name in tools):
        return False
    tool = tools.get(want.name)
    known = properties(tool) if tool is not None else None
    required = tool.get("parameters", {}).get("required") or () if tool is not None else ()
    if any(name not in call.arguments for name in required):
        return False
    for name, value in call.arguments.items():
        if name not in want.arguments or (known is not None and name not in known):
            return False
        if not accepted(value, want.arguments[name], known[name] if known is not None else {}):
            return False
    return all(name in call.arguments or "" in values for name, values in want.arguments.items())


def accepted(value: Any, values: Sequence[Any], schema: Mapping[str, Any]) -> bool:
    """Whether a value is of the parameter's type, and one of the accepted ones."""
    kind = schema.get("type")
    expected = TYPES.get(kind) if isinstance(kind, str) else None
    if kind == "tuple" and isinstance(value, tuple):
        value = list(value)
    if expected is float and type(value) is int:
        value = float(value) if abs(value) < 2**1023 else value
    own = next((type(item) for item in values if item != ""), None)
    if expected is not None and type(value) is not expected and type(value) is not own:
        return False
    if type(value) is str and expected not in (str, None):  # the name of a variable
        return value in values
    if expected is list and type(value) is list and own is list:
        items = schema.get("items")
        inner = TYPES.get(str(items.get("type"))) if isinstance(items, Mapping) else None
        if inner is not None and not any(not isinstance(item, list) or of_kind(value, inner, item) for item in values):
            return False
    return any(same(value, item) for item in values)


def of_kind(value: Sequence[Any], inner: type, item: Any) -> bool:
    """Whether each item of a list is of the type that the tool says, or of that of the accepted list's first."""
    own = next((type(each) for each in item if each != ""), None) if isinstance(item, list) else None
    return all(type(each) is inner or type(each) is own for each in value)


def same(value: Any, item: Any) -> bool:
    """Whether a value is an accepted one."""
    if isinstance(value, bool) or isinstance(item, bool):
        return value is item
    if isinstance(value, str):
        return isinstance(item, str) and plain(value) == plain(item)
    if isinstance(value, dict):
        return isinstance(item, dict) and same_object(value, item)
    if isinstance(value, list):
        if item == "":
            return not value
        return isinstance(item, list) and len(value) == len(item) and all(map(same, value, item))
    return value == item


def same_object(value: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Whether an object has for each key an accepted value, no other key, and all that may not be left out."""
    lists = {key: each if isinstance(each, list) else [each] for key, each in item.items()}
    return all(key in lists and any(same(each, one) for one in lists[key]) for key, each in value.items()) and all(
        key in value or "" in each for key, each in lists.items()
    )


def plain(text: str) -> str:
    return IGNORED.sub("", text).lower().replace("'", '"')
