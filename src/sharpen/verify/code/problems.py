"""What a code task's data says, read and checked once: `Problem`.

language       name or alias of one of `languages.LANGUAGES`
tests          [{"stdin": text, "stdout": text}, …]; with `function`: [{"args": […], "kwargs": {…}, "returns": value}, …], or
               "raises": the name of an exception, instead of "returns"
time_limit_s   wall seconds for each case, 5. All cases together have 25, or as much as one alone: a verdict must come before
               `judging` gives its process up
memory_mb      512
stack_mb       of the first thread; what the language has (`languages`) unless given
packages       that a Python program may import beside the standard library, such as ["scipy"]; numpy always, where there is one
whitespace     "lines" (unless there is a tolerance), "tokens" or "exact": `comparing.same_text`
tolerance      for numbers in the output, or for floats that a function returns: `comparing.same_text`, `same_value`
partial        true: the reward is the share of cases that passed; else 1 where all passed, 0 where not
function       {"name": its name, "preamble": code that stands before the candidate's}: Python and JavaScript only
checker        {"language", "code"}: a program that decides, where a case has several right outputs. For each case it reads one
               JSON object from stdin, {"stdin" or "args" and "kwargs", "given", "expected"}, and exits with 0 for right.
               `expected` is null where the case has none, `given` is what the candidate printed or returned. Whatever else it
               does means wrong: its own bugs show on right outputs, and a candidate must gain nothing by causing them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sharpen.core import UserError, suggest
from sharpen.verify.code.comparing import WHITESPACE
from sharpen.verify.code.languages import Language, language_of

FIELDS = (
    *("language", "tests", "time_limit_s", "memory_mb", "stack_mb", "packages"),
    *("whitespace", "tolerance", "partial", "function", "checker"),
)
IN_FUNCTIONS = ("python", "javascript")
MOST_CASES = 1000
LONGEST_LIMIT_S = 300.0


@dataclass(frozen=True)
class Case:
    """What one case gives to the candidate, and what is expected: text of stdout, or the value of a function."""

    stdin: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    expected: Any
    known: bool  # False: nothing is expected, the checker decides alone
    raises: str = ""  # the exception that is expected of a function, instead of a value


@dataclass(frozen=True)
class Function:
    name: str
    preamble: str = ""


@dataclass(frozen=True)
class Checker:
    language: Language
    code: str


@dataclass(frozen=True)
class Problem:
    language: Language
    cases: tuple[Case, ...]
    seconds: float
    memory_mb: int
    stack_mb: int
    packages: tuple[str, ...]
    whitespace: str
    tolerance: float
    partial: bool
    function: Function | None
    checker: Checker | None


def problem_of(data: Mapping[str, Any]) -> Problem:
    """The problem in a task's data. Raises UserError that says what is wrong with it."""
    for name in data:
        if name not in FIELDS:
            raise UserError(f"there is no field {name!r}.{suggest(str(name), FIELDS)} There are: {', '.join(FIELDS)}.")
    language = language_of(_text(data, "language"))
    function = _function(data, language)
    checker = _checker(data)
    tests = data.get("tests")
    if not isinstance(tests, list | tuple) or not 0 < len(tests) <= MOST_CASES:
        raise UserError(f"'tests' must be a list of 1 to {MOST_CASES} cases, such as [{EXAMPLE}].")
    cases = tuple(_case(test, number, function is not None, checker is not None) for number, test in enumerate(tests, 1))
    if function is None and checker is None and not any(case.expected.strip() for case in cases):
        raise UserError("every case expects no output, which the empty program gives too. Add a case with some.")
    tolerance = _number(data, "tolerance", 0.0, 0.0, 1.0)
    whitespace = data.get("whitespace", "tokens" if tolerance else "lines")
    if whitespace not in WHITESPACE:
        raise UserError(f"'whitespace' is {whitespace!r}; it must be one of {', '.join(WHITESPACE)}.")
    if tolerance and whitespace != "tokens":
        raise UserError(
            f"'tolerance' does nothing where whitespace is {whitespace!r}: numbers are told apart by it. Use tokens."
        )
    if checker and (tolerance or "whitespace" in data):
        raise UserError("'tolerance' and 'whitespace' do nothing beside a checker, which decides alone. Leave them out.")
    if function and "whitespace" in data:
        raise UserError("'whitespace' does nothing for a function: its value is compared, not its output. Leave it out.")
    if not isinstance(data.get("partial", False), bool):
        raise UserError(f"'partial' is {data['partial']!r}; it must be true or false.")
    seconds = _number(data, "time_limit_s", 5.0, 0.01, LONGEST_LIMIT_S)
    memory = int(_number(data, "memory_mb", 512, 16, 65536))
    stack = int(_number(data, "stack_mb", 0, 1, 4096)) if "stack_mb" in data else 0
    packages = data.get("packages", [])
    if not isinstance(packages, list | tuple) or not all(isinstance(name, str) and name.isidentifier() for name in packages):
        raise UserError(f"'packages' is {packages!r}; it must be a list of names, such as [\"scipy\"].")
    if packages and language.name != "python":
        raise UserError(f"'packages' does nothing for {language.name}. Leave it out.")
    rest = whitespace, tolerance, data.get("partial", False), function, checker
    return Problem(language, cases, seconds, memory, stack, tuple(packages), *rest)


EXAMPLE = '{"stdin": "1 2\\n", "stdout": "3\\n"}'


def _case(test: Any, number: int, in_function: bool, checked: bool) -> Case:
    known = ("args", "kwargs", "raises", "returns") if in_function else ("stdin", "stdout")
    if not isinstance(test, Mapping):
        raise UserError(f"case {number} of 'tests' is no object; it must look like {EXAMPLE}.")
    for name in test:
        if name not in known:
            raise UserError(f"case {number} of 'tests' has a field {name!r}; a case has {', '.join(known)}.")
    given = test.get(known[-1])
    if not in_function:
        for name in known:
            if not isinstance(test.get(name, ""), str):
                raise UserError(f"case {number} of 'tests': {name!r} must be text, such as in {EXAMPLE}.")
    elif not isinstance(test.get("args", []), list | tuple) or not isinstance(test.get("kwargs", {}), Mapping):
        raise UserError(f"case {number} of 'tests': 'args' must be a list and 'kwargs' an object.")
    raises = test.get("raises", "")
    if not isinstance(raises, str) or ("raises" in test and ("returns" in test or not raises.isidentifier())):
        raise UserError(f"case {number} of 'tests': 'raises' must be the name of an exception, and stand without 'returns'.")
    if known[-1] not in test and not raises and not checked:
        raise UserError(f"case {number} of 'tests' does not say what is expected: add {known[-1]!r}, or a checker to the task.")
    try:
        json.dumps(test)
    except (TypeError, ValueError) as e:
        raise UserError(f"case {number} of 'tests' is not JSON: {e}.") from e
    return Case(test.get("stdin", ""), test.get("args", ()), test.get("kwargs", {}), given, known[-1] in test, raises)


def _function(data: Mapping[str, Any], language: Language) -> Function | None:
    found = data.get("function")
    if found is None:
        return None
    if not isinstance(found, Mapping) or set(found) - {"name", "preamble"} or not str(found.get("name", "")).isidentifier():
        raise UserError("""'function' must look like {"name": "add", "preamble": "import math"}; the preamble is optional.""")
    if language.name not in IN_FUNCTIONS:
        raise UserError(f"'function' works for {' and '.join(IN_FUNCTIONS)}. In {language.name} a program reads stdin.")
    if not isinstance(found.get("preamble", ""), str):
        raise UserError("the 'preamble' of 'function' must be text: code.")
    return Function(found["name"], found.get("preamble", ""))


def _checker(data: Mapping[str, Any]) -> Checker | None:
    found = data.get("checker")
    if found is None:
        return None
    if not isinstance(found, Mapping) or set(found) != {"language", "code"}:
        raise UserError("""'checker' must look like {"language": "python", "code": "…"}.""")
    return Checker(language_of(_text(found, "language")), _text(found, "code"))


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{name!r} is {value!r}; it must be text.")
    return value


def _number(data: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = data.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        raise UserError(f"{name!r} is {value!r}; it must be a number from {low:g} to {high:g}.")
    return value
