"""Verifiers of answers with a fixed form: one of several choices, and JSON.

Both find the final answer first (`extraction`). Neither bounds its own time beyond the length of what it reads: a schema may
ask for much work, and who judges many responses runs verifiers in processes with a deadline.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Mapping
from typing import Any

from sharpen.core import Task, UserError, Verdict
from sharpen.verify.maths import extract, tidy

VERSION = "1"
LONGEST_JSON = 20_000  # characters
LONGEST_MATCH = 0.5  # seconds of one pattern of a schema on one text

LABEL = re.compile(
    r"(?:the )?(?:correct )?(?:answer|option|choice)?(?: is)? ?(?:\(([A-Za-z])\)|([A-Za-z])(?![A-Za-z0-9']))[.:)]?(.*)",
    re.I | re.S,
)
FENCE = re.compile(r"```[A-Za-z0-9]*\s*\n(.*?)(?:```|\Z)", re.DOTALL)


def multiple_choice(task: Task, response: str) -> Verdict:
    """One of several choices, by its letter or its whole text: "B", "(B)", "B. Lima", "Lima".

    Task: `answer` is a letter or the text of a choice; data `choices` is a list of texts (A, B, …) or an object {letter: text}.
    Without `choices` only letters are read. `malformed`: no choice, or more than one. `unscorable`: the task's answer is none.
    """
    choices = labelled(task.data.get("choices"))
    gold = chosen((task.answer or "").strip(), choices)
    if gold is None:
        return Verdict(
            "unscorable", None, feedback="the task's own answer is none of its choices", rule="choice", version=VERSION
        )
    text, how = extract(response)
    if how not in ("tag", "box", "marker"):  # a last number is no choice, but the last line may be one
        lines = response.rpartition("</think>")[2].strip().split("\n")
        text, how = lines[-1][:2000], "whole" if len(lines) == 1 else "last line"
    found = chosen(text, choices)
    rule = f"{how}: choice"
    if found is None:
        return Verdict("malformed", 0.0, feedback="There is no choice, or more than one.", rule=rule, version=VERSION)
    return _judged(found == gold, rule)


def labelled(choices: Any) -> dict[str, str]:
    """{letter: text}, without spaces around; empty where there are no choices."""
    if isinstance(choices, Mapping):
        return {str(label).strip().upper(): _plain(str(text)) for label, text in choices.items()}
    return {chr(ord("A") + i): _plain(str(text)) for i, text in enumerate(choices or ())}


def chosen(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter of the choice that a text makes, or None where it makes none or several."""
    text = tidy(text[:2000])
    plain = _plain(text)
    by_text = [label for label, choice in choices.items() if choice == plain]
    if by_text and plain.upper() not in choices:
        return by_text[0] if len(by_text) == 1 else None
    match = LABEL.fullmatch(text)
    if match is None:
        return None
    label, rest = (match[1] or match[2]).upper(), _plain(match[3])
    if choices and label not in choices:
        return None
    if not rest or choices.get(label) == rest:
        return label
    others = [letter for letter, choice in choices.items() if letter != label and choice and choice in rest]
    again = re.search(r"\b(?:or|and|not)\b|\([A-Za-z]\)|(?<![A-Za-z])[B-Z](?![A-Za-z])", match[3])
    return None if others or again or (choices and not _separated(text, label)) else label


def _separated(text: str, label: str) -> bool:
    """Whether a mark stands behind the letter, so that it labels what follows: "B. Lima", but not "A dog"."""
    return re.match(rf".*?(?:\({label}\)|{label}[.:)])", text, re.IGNORECASE) is not None


def _plain(text: str) -> str:
    return " ".join(tidy(text).casefold().split())


def json_value(task: Task, response: str) -> Verdict:
    """JSON that a schema allows, and that is the task's own answer where it has one.

    Task: data `schema`, a JSON Schema (draft 2020-12); `answer`, JSON. At least one of them. Numbers are compared by value,
    true is not 1, the order of keys does not count. The JSON is what stands in the last <answer>, else in the last fenced
    block, else the whole response. `malformed`: no JSON, a key twice, NaN. Parts: `parsed`, `valid`, `equal`. Remote
    references of a schema are not fetched. Raises UserError where a task has a schema and the extra `schema` is not installed.
    """
    schema = task.data.get("schema")
    try:
        gold = [parse_json(task.answer)] if task.answer else []
        validator = _validator(json.dumps(schema)) if schema is not None else None
    except (ValueError, RecursionError) as e:
        return Verdict(
            "unscorable", None, feedback=f"the task's answer or schema cannot be read: {e}", rule="json", version=VERSION
        )
    if validator is None and not gold:
        return Verdict("unscorable", None, feedback="the task has neither schema nor answer", rule="json", version=VERSION)
    text, rule = json_text(response)
    if len(text) > LONGEST_JSON + len(task.answer or ""):
        return Verdict("limit", 0.0, feedback="The JSON is too long.", rule=rule, version=VERSION)
    parts = {"parsed": 0.0, "valid": 0.0, "equal": 0.0}
    try:
        value = parse_json(text)
        parts["parsed"] = 1.0
        error = next(validator.iter_errors(value), None) if validator else None
    except (ValueError, RecursionError) as e:
        return Verdict("malformed", 0.0, parts, f"This is no JSON: {e}", rule, VERSION)
    except TimeoutError:
        return Verdict("limit", 0.0, parts, "A pattern of the schema takes too long on this text.", rule, VERSION)
    if error is not None:
        return Verdict(
            "wrong", 0.0, parts, f"The schema's {error.validator!r} is violated at {error.json_path}.", rule, VERSION
        )
    parts["valid"] = 1.0
    parts["equal"] = float(not gold or same_json(value, gold[0]))
    return _judged(bool(parts["equal"]), rule, parts)


def json_text(response: str) -> tuple[str, str]:
    """(the text that should be JSON, the rule that found it)."""
    text, how = extract(response)
    if how != "tag":
        text, how = response.rpartition("</think>")[2].strip(), "whole"
    start = text.rfind("```", 0, text.rfind("```")) if text.count("```") > 1 else text.find("```")
    if start >= 0 and (fence := FENCE.match(text, start)):
        return fence[1].strip(), "fence: json"
    return text, f"{how}: json"


def parse_json(text: str) -> Any:
    """A JSON value. Raises ValueError for anything else, also for NaN, infinities and an object with a key twice."""
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def same_json(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return one == other


@functools.lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    """Patterns are matched with a deadline, and nothing is fetched.

    Raises ValueError where it is no schema, UserError where jsonschema is not installed.
    """
    if importlib.util.find_spec("jsonschema") is None:
        raise UserError(
            'A task has a JSON Schema, and jsonschema, which reads it, is not installed: pip install "sharpen[schema]"'
        )
    import jsonschema
    import referencing

    base = jsonschema.Draft202012Validator
    loaded = json.loads(schema)
    try:
        base.check_schema(loaded)
    except jsonschema.SchemaError as e:
        raise ValueError(e.message) from e
    timed = jsonschema.validators.extend(base, {"pattern": _pattern, "patternProperties": _pattern_properties})
    return timed(loaded, registry=referencing.Registry())


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Any:
    import jsonschema
    import regex

    if isinstance(value, str) and not regex.search(pattern, value, timeout=LONGEST_MATCH):
        yield jsonschema.ValidationError("the pattern does not match")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], value: Any, schema: Any) -> Any:
    import regex

    for pattern, subschema in patterns.items() if isinstance(value, dict) else ():
        for key, inner in value.items():
            if regex.search(pattern, key, timeout=LONGEST_MATCH):
                yield from validator.descend(inner, subschema, path=key, schema_path=pattern)


def _judged(right: bool, rule: str, parts: Mapping[str, float] | None = None) -> Verdict:
    if right:
        return Verdict("correct", 1.0, parts or {}, rule=rule, version=VERSION)
    return Verdict("wrong", 0.0, parts or {}, "The answer is wrong.", rule, VERSION)
