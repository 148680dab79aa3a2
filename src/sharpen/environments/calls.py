"""The calls that a model makes, read strictly and held against the tools' schemas: what is wrong is said in words for it.

verify/calls.py reads Hermes' and Qwen's <tool_call>, fenced blocks, JSON and Python's notation, not in thoughts. Llama's
<|python_tag|> and <function=name>{…}</function>, and Qwen's <function=name><parameter=p>…, are read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sharpen.core import suggest
from sharpen.verify import Call, Unreadable, calls_of
from sharpen.verify.maths import without_thoughts

MOST = 8  # calls that one turn may make
FUNCTION = re.compile(r"<function=([\w.\-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
PARAMETER = re.compile(r"<parameter=([\w.\-]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
Tools = Sequence[Mapping[str, Any]]


def read(text: str, tools: Tools) -> tuple[list[Call], str]:
    """(the calls in what a model said, ""), or ([], what is wrong with them). Both are empty where it makes none.

    A call inside of thoughts is none. One that never closes, or that cannot be read, is a mistake; so are more than MOST.
    """
    said = without_thoughts(text).replace("<|python_tag|>", "")
    named = {str(tool["function"]["name"]): tool["function"] for tool in tools}
    for mark in ("tool_call", "function"):
        if said.count(f"<{mark}") > said.count(f"</{mark}"):
            return [], f"a <{mark}> is never closed"
    try:
        tagged = [tagged_call(name, inner, named) for name, inner in FUNCTION.findall(said)]
        calls, rule = (tagged, "tagged") if tagged else calls_of(said, named)
    except Unreadable as error:
        # Prose may hold braces: only where a tool is named is it a call that went wrong.
        meant = "<tool_call" in said or any(f'"{name}"' in said for name in named)
        return [], f"the call cannot be read: {error}" if meant else ""
    if rule in ("json", "fence") and not any(call.name in named for call in calls):
        calls = [call for call in calls if looks_meant(said)]  # JSON may be an answer
    if len(calls) > MOST:
        return [], f"{len(calls)} calls at once are too many: at most {MOST}"
    return calls, ""


def looks_meant(said: str) -> bool:
    """Whether JSON that names no known tool is a call all the same: it says so."""
    return '"arguments"' in said or '"parameters"' in said


def tagged_call(name: str, inner: str, named: Mapping[str, Any]) -> Call:
    """`<function=name>` with JSON, or with `<parameter=…>`s, whose texts are read as the schema's types."""
    if pairs := PARAMETER.findall(inner):
        known = named.get(name, {}).get("parameters", {}).get("properties", {})
        if len({key for key, _ in pairs}) < len(pairs):
            raise Unreadable("a parameter occurs twice")
        return Call(name, {key: of_text(value, known.get(key, {})) for key, value in pairs})
    try:
        given = json.loads(inner.strip() or "{}")
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the JSON is broken: {error}") from error
    if not isinstance(given, dict):
        raise Unreadable(f"the arguments of {name} are no object")
    return Call(name, given)


def of_text(text: str, schema: Mapping[str, Any]) -> Any:
    """A parameter's text: itself where a text is wanted, else the JSON that it is."""
    if schema.get("type", "string") == "string":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def mistake(call: Call, tools: Tools) -> str:
    """What is wrong with a call, in words for the model; "" where its tool can be called so."""
    named = {str(tool["function"]["name"]): tool["function"] for tool in tools}
    if call.name not in named:
        return f"there is no tool {call.name!r}.{suggest(call.name, named)} There are: {', '.join(named)}."
    schema = named[call.name].get("parameters", {})
    known = schema.get("properties", {})
    for name, value in call.arguments.items():
        if not name:
            return f"{call.name} was given an argument without a name. It takes: {', '.join(known) or 'nothing'}."
        if name not in known:
            return f"{call.name} has no argument {name!r}.{suggest(name, known)} It takes: {', '.join(known) or 'nothing'}."
        if wrong := misfit(value, known[name]):
            return f"{call.name}: {name} must be {wrong}, and is {json.dumps(value, default=str)[:80]}."
    if missing := [name for name in schema.get("required", ()) if name not in call.arguments]:
        return f"{call.name} needs {', '.join(missing)}."
    return ""


NAMES = {"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list"}
NAMES |= {"object": "an object", "null": "null"}
KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
    "null": (type(None),),
}


def misfit(value: Any, schema: Mapping[str, Any]) -> str:
    """What a value would have to be; "" where it fits. Nothing is converted: "3" is no number, and true is none either."""
    if options := schema.get("anyOf"):
        said = [misfit(value, option) for option in options]
        return "" if "" in said else " or ".join(dict.fromkeys(said))
    if "enum" in schema:
        fits = any(type(value) is type(each) and value == each for each in schema["enum"])
        return "" if fits else f"one of {', '.join(map(repr, schema['enum']))}"
    kind = str(schema.get("type"))
    if kind not in KINDS:
        return ""
    if not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return NAMES[kind]
    if isinstance(value, list | tuple) and "items" in schema:
        wrong = next((w for each in value if (w := misfit(each, schema["items"]))), "")
        return f"a list, each of it {wrong}" if wrong else ""
    return ""
