"""Calls of tools, read from what a model wrote: as JSON, marked or not, or as calls in Python's notation. Nothing is evaluated.

The first of these that holds a call; what stands beside it, such as a sentence before it, does not count:

1. `<tool_call>{"name": …, "arguments": {…}}</tool_call>` (Hermes, Qwen), any number of them
2. fenced blocks, each with JSON or calls in Python's notation
3. the whole text, as JSON or as calls: `f(a=1)`, or `[f(a=1), g(b=[2, 3])]`
4. the JSON that stands in prose: one value, or several one after the other

A value of JSON is a call, or a list of calls. `arguments` may be called `parameters`, may be JSON in a string, and both may
stand in an object `function`. All that is found is read: whoever writes two answers has made two calls.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sharpen.verify.maths import tagged, without_thoughts

LONGEST = 20_000  # characters that are read
MARKED = re.compile(r"<(tool_calls?|function_call)>(.*?)(?:</\1>|(?=<\1>)|\Z)", re.DOTALL)
FENCE = re.compile(r"^[ \t]*```[ \t]*([^\n`]*)\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
BEGINS = re.compile(r'\{\s*"|\[\s*\{\s*"')
BETWEEN = re.compile(r"[\s,;]*")
WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Call:
    """A call: the tool's name and its arguments, by name. An argument without a name is called ""."""

    name: str
    arguments: Mapping[str, Any]


class Unreadable(ValueError):
    """There is a call, or something like one, that cannot be read. The text says why."""


def calls_of(response: str, names: Collection[str] = ()) -> tuple[list[Call], str]:
    """(the calls in a response, in order, the rule that found them); ([], "none") where there is none.

    names  of the tools there are: `{"get_time": {"zone": "UTC"}}` is a call only where that is one of them
    Raises Unreadable for calls that are broken, and for a text beyond LONGEST.
    """
    text = without_thoughts(response).strip()
    if (inside := tagged(text)) is not None:
        text = inside.strip()
    if len(text) > LONGEST:
        raise Unreadable(f"it has more than {LONGEST} characters")
    if marked := MARKED.findall(text):
        return [call for _, inside in marked for call in read(inside, names, whole=True)], "tool_call"
    fenced = [call for _, inside in FENCE.findall(text) for call in read(inside, names, whole=True, strict=False)]
    if fenced:
        return fenced, "fence"
    if called := python_calls(text):
        return called, "python"
    return (found, "json") if (found := read(text, names)) else ([], "none")


def read(text: str, names: Collection[str], whole: bool = False, strict: bool = True) -> list[Call]:
    """The calls in a text. `whole`: it holds nothing else, perhaps in Python's notation; `strict`: without one it is broken."""
    text = text.strip()
    if whole and (found := python_calls(text)):
        return found
    begins = BEGINS.search(text)
    if begins is None or (whole and begins.start()):
        if whole and strict:
            raise Unreadable("there is no call between the marks")
        return []
    try:
        values = list(json_values(text[begins.start() :]))
    except (ValueError, RecursionError) as error:
        if whole and not strict:
            return []
        raise Unreadable(f"the JSON is broken: {error}") from error
    return [call for value in values for call in of_json(value, names)]


def json_values(text: str) -> Iterator[Any]:
    """The JSON values at the beginning of a text, one after the other; behind the last, no further bracket may stand.

    Raises ValueError where there is no JSON, or more brackets, a key twice, or a number that is none."""
    decoder = json.JSONDecoder(object_pairs_hook=once, parse_constant=no_constant)
    at = 0
    while at < len(text) and text[at] in "{[":
        value, at = decoder.raw_decode(text, at)
        yield value
        at = BETWEEN.match(text, at).end()  # type: ignore[union-attr]
    if re.search(r"[{}]", text[at:]):
        raise ValueError("more than one thing stands in brackets")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def of_json(value: Any, names: Collection[str]) -> list[Call]:
    """The calls that a JSON value is. Raises Unreadable where it is none."""
    if isinstance(value, list):
        return [call for item in value for call in of_json(item, names)]
    if not isinstance(value, dict):
        raise Unreadable(f"{json.dumps(value)[:60]} is no call")
    if isinstance(value.get("tool_calls"), list):
        return of_json(value["tool_calls"], names)
    if isinstance(value.get("function"), dict):
        value = value["function"]
    name = value.get("name", value.get("function"))
    if isinstance(name, str):
        given = value.get("arguments", value.get("parameters", {}))
        if isinstance(given, str):
            try:
                (given,) = json_values(given.strip() or "{}")
            except (ValueError, RecursionError) as error:
                raise Unreadable(f"the arguments of {name} are broken JSON: {error}") from error
        if not isinstance(given, dict):
            raise Unreadable(f"the arguments of {name} are no object")
        return [Call(name, given)]
    if value and all(key in names and isinstance(inner, dict) for key, inner in value.items()):
        return [Call(key, inner) for key, inner in value.items()]
    raise Unreadable("an object is no call: it has no name")


def python_calls(text: str) -> list[Call]:
    """The calls that a text consists of, in Python's notation; none where it is anything else, or too deep for the parser."""
    text = text.strip().strip("`").strip()
    if not re.match(r"[\[(]?\s*[A-Za-z_][\w.]*\(", text):
        return []
    for form in (text, f"[{text}]"):  # the second for f(a=1), g(b=2) over several lines
        with warnings.catch_warnings(), contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            warnings.simplefilter("ignore")  # Python warns of odd literals, such as 1and 2
            return of_tree(ast.parse(form))
    return []


def of_tree(tree: ast.Module) -> list[Call]:
    """The calls that a parsed text consists of; none where one of its parts is no call."""
    nodes = [statement.value for statement in tree.body if isinstance(statement, ast.Expr)]
    parts = [item for node in nodes for item in (node.elts if isinstance(node, ast.List | ast.Tuple) else [node])]
    called = [call for part in parts if isinstance(part, ast.Call) and (call := of_node(part))]
    return called if len(nodes) == len(tree.body) and len(called) == len(parts) else []


def of_node(node: ast.Call) -> Call | None:
    """A call as it is written; None where what is called is no name, such as f(1)(2)."""
    parts: list[str] = []
    function: ast.expr = node.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        return None
    arguments: dict[str, Any] = {"": None} if node.args else {}
    for keyword in node.keywords:  # f(**x) has a keyword without a name
        arguments[keyword.arg or ""] = value_of(keyword.value)
    return Call(".".join([function.id, *reversed(parts)]), arguments)


def value_of(node: ast.expr) -> Any:
    """What is written: numbers, texts, lists, tuples and dictionaries of them; anything else as its text, such as a name."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool | None):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = value_of(node.operand)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.List):
        return [value_of(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(value_of(item) for item in node.elts)
    if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        return once([(key.value, value_of(item)) for key, item in zip(node.keys, node.values, strict=True)])  # type: ignore[union-attr]
    if isinstance(node, ast.Name):
        return WORDS.get(node.id, node.id)
    if isinstance(node, ast.Call) and node.keywords and (inner := of_node(node)):
        return {inner.name: dict(inner.arguments)}
    return ast.unparse(node)
