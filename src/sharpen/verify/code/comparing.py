"""Is this the expected output? Texts under a whitespace policy and a tolerance, and values of functions; outside the sandbox.

A candidate's output is bytes until it is equal: nothing here evaluates, unpickles or trusts it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from sharpen.core import UserError

WHITESPACE = ("lines", "tokens", "exact")
LONGEST_INTEGER = 14_281  # bits, at most 4,300 digits: what Python turns into text, and what `drivers/values.py` lets through
LONGEST_TOKEN = 400  # characters of what is read as a number; a double has at most 17 that matter
NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def same_text(given: bytes, expected: bytes, whitespace: str = "lines", tolerance: float = 0.0) -> bool:
    """Whether a program printed what was expected.

    whitespace  "lines": spaces at the ends of lines and empty lines at the end do not count; "tokens": only the words between
                spaces and line ends count; "exact": every byte counts
    tolerance   with "tokens": two decimal numbers are equal where they differ by at most tolerance * max(1, |expected|);
                words, infinities and NaN are equal only as text
    """
    if whitespace == "exact":
        return given == expected
    if whitespace == "lines":
        return lines(given) == lines(expected)
    left, right = given.split(), expected.split()
    return len(left) == len(right) and all(a == b or close_tokens(a, b, tolerance) for a, b in zip(left, right))


def lines(text: bytes) -> list[bytes]:
    found = [line.rstrip() for line in text.split(b"\n")]
    while found and not found[-1]:
        found.pop()
    return found


def close_tokens(given: bytes, expected: bytes, tolerance: float) -> bool:
    if not tolerance or max(len(given), len(expected)) > LONGEST_TOKEN:
        return False
    if not (NUMBER.fullmatch(given) and NUMBER.fullmatch(expected)):
        return False
    return close(float(given), float(expected), tolerance)


def close(given: float, expected: float, tolerance: float) -> bool:
    if not (math.isfinite(given) and math.isfinite(expected)):
        return False
    return abs(given - expected) <= tolerance * max(1.0, abs(expected))


def read_value(text: bytes) -> Any:
    """The value in a record of a function's driver. Raises ValueError where it is none, or is nested too deeply.

    JSON, where an object with one key that starts with $ stands for what JSON lacks: {"$tuple": […]}, {"$set": […]},
    {"$dict": [[key, value], …]}, {"$float": "nan"}, {"$int": "…"}, {"$bytes": "hex"} and {"$other": "name of its type"}.
    """
    try:
        return json.loads(text)
    except RecursionError as e:
        raise ValueError("nested too deeply") from e


def same_value(given: Any, expected: Any, tolerance: float = 0.0) -> bool:
    """Whether two values, as `read_value` gives them, are what Python's == would call equal; NaN also equals NaN.

    So 1, 1.0 and True are equal, and a list and a tuple are not. Floats (and integers beside them) may differ by
    tolerance * max(1, |expected|). Nothing is equal to a value of another kind, such as an object with its own idea of ==.
    """
    try:
        return _same(given, expected, tolerance)
    except RecursionError:
        return False


def _same(given: Any, expected: Any, tolerance: float) -> bool:
    kind, left = unpack(given)
    other, right = unpack(expected)
    if kind != other or kind == "other":
        return False
    if kind == "number":
        if left == right or (left != left and right != right):
            return True
        floats = isinstance(left, float) or isinstance(right, float)
        return floats and max(abs(left), abs(right)) < 1e308 and bool(tolerance) and close(float(left), float(right), tolerance)
    if kind in ("list", "tuple"):
        return len(left) == len(right) and all(_same(a, b, tolerance) for a, b in zip(left, right))
    if kind == "set":
        return len(left) == len(right) and all(any(_same(a, b, 0.0) for a in left) for b in right)
    if kind == "dict":
        return len(left) == len(right) and all(
            any(_same(key, name, 0.0) and _same(value, wanted, tolerance) for key, value in left) for name, wanted in right
        )
    return bool(left == right)


def unpack(value: Any) -> tuple[str, Any]:
    """(kind, content) of a value: number, text, list, tuple, set, dict (as pairs), bytes, none or other."""
    if value is None:
        return "none", None
    if isinstance(value, bool | int | float):
        return "number", value
    if isinstance(value, str):
        return "text", value
    if isinstance(value, list):
        return "list", value
    if len(value) == 1:
        ((key, content),) = value.items()
        if key in ("$tuple", "$set") and isinstance(content, list):
            return key[1:], content
        if key == "$dict" and isinstance(content, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in content):
            return "dict", content
        if key == "$bytes" and isinstance(content, str):
            return "bytes", content
        if key == "$float" and content in ("nan", "inf", "-inf"):
            return "number", float(content)
        if key == "$int" and isinstance(content, str) and re.fullmatch(r"-?[0-9]{1,4300}", content):
            return "number", int(content)
        if key.startswith("$"):
            return "other", None
    return "dict", [[key, content] for key, content in value.items()]


def pack(value: Any) -> Any:
    """A Python value as JSON, as `read_value` explains. Raises UserError for what has no such form."""
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        raise UserError(
            f"a whole number of {value.bit_length()} bits is more than a program's answer may have: {LONGEST_INTEGER}."
        )
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, list):
        return [pack(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [pack(item) for item in value]}
    if isinstance(value, set | frozenset):
        return {"$set": sorted((pack(item) for item in value), key=json.dumps)}
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, dict):
        plain = all(isinstance(key, str) and not key.startswith("$") for key in value)
        return (
            {key: pack(item) for key, item in value.items()}
            if plain
            else {"$dict": [[pack(key), pack(item)] for key, item in value.items()]}
        )
    raise UserError(f"a {type(value).__name__} has no form in JSON, so that a test cannot hold one")
