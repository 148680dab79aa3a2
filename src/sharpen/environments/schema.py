"""Tools of a class: its public methods, each with the JSON Schema that its types and docstring say. Runs beside the class.

    def buy(self, item: int, note: str = "") -> str:
        \"\"\"Buy an item.

        item  its number in the list
        note  words for the seller
        \"\"\"

is the tool `buy` of a whole number `item` and a text `note`, which may be left out. A line `name  what`, `name: what` or
`:param name: what` of the docstring describes a parameter.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

OWN = frozenset(("reset", "reward", "state", "snapshot", "restore", "close", "done", "step", "tasks"))  # no tools
PLAIN: Mapping[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}
METHODS = (types.FunctionType, staticmethod, classmethod)
LISTS = (list, tuple, set, frozenset, Sequence)


def tools_of(thing: Any) -> list[dict[str, Any]]:
    """The tools of an object or class as OpenAI writes them, in the order in which they are defined.

    Raises TypeError, naming the tool, for a parameter without a name of its own (*args) and for a type that JSON does not have.
    """
    owner = thing if inspect.isclass(thing) else type(thing)
    found: dict[str, Any] = {}
    for base in reversed(owner.__mro__[:-1]):
        found |= {n: f for n, f in vars(base).items() if not n.startswith("_") and isinstance(f, METHODS) and n not in OWN}
    return [tool(name, getattr(f, "__func__", f), isinstance(f, staticmethod)) for name, f in found.items()]


def tool(name: str, function: Callable[..., Any], static: bool = False) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise TypeError(f"the tool {name} has a type that is not known: {error}") from error
    said = inspect.getdoc(function) or ""
    properties: dict[str, Any] = {}
    required = []
    for parameter in list(inspect.signature(function).parameters.values())[0 if static else 1 :]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"the tool {name} takes *{parameter.name}, which no schema can say: name its parameters")
        properties[parameter.name] = of_type(hints.get(parameter.name, Any), f"{name}({parameter.name})")
        if what := described(said, parameter.name):
            properties[parameter.name]["description"] = what
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif parameter.default is None or isinstance(parameter.default, str | int | float | bool):
            properties[parameter.name]["default"] = parameter.default
    schema = {"type": "object", "properties": properties, "required": required}
    about = " ".join(said.partition("\n\n")[0].split())
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


def described(said: str, name: str) -> str:
    """What a docstring says of a parameter."""
    found = re.search(rf"^\s*(?::param\s+)?{re.escape(name)}(?:\s*\([^)]*\))?(?::\s|\s\s)\s*(\S.*)$", said, re.MULTILINE)
    return found[1].strip() if found else ""


def of_type(kind: Any, where: str) -> dict[str, Any]:
    """The JSON Schema of a type. TypeError where JSON has none such."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or kind is inspect.Parameter.empty:
        return {}
    if kind in PLAIN:
        return dict(PLAIN[kind])
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [of_type(each, where) for each in inner]}
    if kind in LISTS or origin in LISTS:
        items = [each for each in inner if each is not Ellipsis]
        return {"type": "array"} | ({"items": of_type(items[0], where)} if len(set(items)) == 1 else {})
    if kind in (dict, Mapping) or origin in (dict, Mapping):
        return {"type": "object"}
    raise TypeError(f"{where} is a {kind!r}, which JSON does not have: take str, int, float, bool, list or dict")
