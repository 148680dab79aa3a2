"""Known shapes of files of programs to write: HumanEval, MBPP, APPS, LiveCodeBench. Each row becomes a line for `code_io`.

Tests that are functions full of asserts are made into cases by convert.py, which runs the reference in the sandbox. Tests that
LiveCodeBench packed as a pickle of one text are read by the pickle's opcodes: nothing is unpickled.
"""

from __future__ import annotations

import ast
import base64
import binascii
import contextlib
import functools
import json
import os
import pickletools
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.hashing import digest
from sharpen.tasks.convert import convert
from sharpen.tasks.reading import Shape, family_of, level_of, loaded, plain, text_of
from sharpen.terminal import places
from sharpen.verify.code import driver

MOST_CASES = 1000  # of one problem; `code_io` takes no more
LONGEST_TESTS = 256 * 2**20  # bytes of one problem's tests, unpacked
STDIN = "{0}\n\nThe program reads standard input and prints to standard output."
STARTED = "{0}\n\nUse this beginning:\n\n```python\n{1}\n```"
LIMITS = {"language": "python", "verifier": "code_io", "time_limit_s": 5.0, "memory_mb": 1024}


def asserts(row: Mapping[str, Any]) -> dict[str, Any]:
    """What convert.py makes of a row. It runs the reference, so it is kept in the user's cache directory."""
    record = plain(row)
    path = places.cache_directory() / "converted" / f"{digest([converter(), record])}.json"
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    line = convert(record)
    with contextlib.suppress(OSError):  # nowhere to keep it: it is made again
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_text(json.dumps(line), encoding="utf-8")
        part.replace(path)
    return line


@functools.cache
def converter() -> str:
    """A hash of what converts: its source, and Python's version."""
    here = Path(__file__).with_name("convert.py").read_text(encoding="utf-8")
    return digest([here, driver("values.py").decode(), sys.version])


def apps(row: Mapping[str, Any]) -> dict[str, Any]:
    """Also TACO, which has the same columns."""
    tests = inputs_and_outputs(loaded(row["input_output"], "input_output") if row["input_output"] else None)
    if tests is None:
        raise UserError("no tests")
    question, starter = text_of(row["question"], "question"), row.get("starter_code") or ""
    prompt = STARTED.format(question, starter.rstrip()) if starter.strip() else question
    prompt = prompt if "function" in tests or starter.strip() else STDIN.format(question)
    solutions = loaded(row["solutions"], "solutions") if row.get("solutions") else []
    line = {"prompt": prompt, "level": level_of(row.get("difficulty")), **tests}
    if solutions and isinstance(solutions, list) and isinstance(solutions[0], str):
        line["solution"] = f"```python\n{solutions[0].strip()}\n```"
    return line


def inputs_and_outputs(value: Any) -> dict[str, Any] | None:
    """Cases of {"inputs": […], "outputs": […], "fn_name"}, also as JSON; None where it is something else.

    Of a function an input is its list of arguments; outputs that are all lists of one item stand for that item.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, Mapping) or not {"inputs", "outputs"} <= value.keys():
        return None
    inputs, outputs, name = value["inputs"], value["outputs"], value.get("fn_name")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or not inputs or len(inputs) != len(outputs):
        raise UserError("tests without as many outputs as inputs")
    if name:
        wrapped = all(isinstance(output, list) and len(output) == 1 for output in outputs)
        returned = [output[0] for output in outputs] if wrapped else outputs
        tests = [{"args": given if isinstance(given, list) else [given], "returns": r} for given, r in zip(inputs, returned)]
        return {**LIMITS, "function": {"name": name}, "tests": tests[:MOST_CASES]}
    return {**LIMITS, "tests": [{"stdin": lined(i), "stdout": lined(o)} for i, o in zip(inputs, outputs)][:MOST_CASES]}


def lined(value: Any) -> str:
    """What a program reads or prints: text, or a list of its lines."""
    if isinstance(value, list):
        return "\n".join(map(lined, value))
    return value if isinstance(value, str) else json.dumps(value)


def live(row: Mapping[str, Any]) -> dict[str, Any]:
    public = loaded(row["public_test_cases"], "public_test_cases")
    hidden = row.get("private_test_cases")
    cases = [*public, *(unpacked(hidden) if isinstance(hidden, str) and hidden else plain(hidden) or [])]
    if not cases or not all(isinstance(case, Mapping) and {"input", "output"} <= case.keys() for case in cases):
        raise UserError("no tests")
    question, starter = text_of(row["question_content"], "question"), row.get("starter_code") or ""
    line = {"level": level_of(row.get("difficulty")), "family": family_of(row.get("platform"), ""), **LIMITS}
    if all(case.get("testtype") == "functional" for case in cases):
        told = loaded(row["metadata"], "metadata") if row.get("metadata") else {}
        name = told.get("func_name") or told.get("fn_name") or named_in(starter)
        tests = [{"args": arguments(case["input"]), "returns": loaded(case["output"], "output")} for case in cases]
        line |= {"function": {"name": name}, "tests": tests[:MOST_CASES]}
        return line | {"prompt": STARTED.format(question, starter.rstrip()) if starter.strip() else question}
    tests = [{"stdin": case["input"], "stdout": case["output"]} for case in cases]
    return line | {"prompt": STDIN.format(question), "tests": tests[:MOST_CASES]}


def arguments(text: str) -> list[Any]:
    """One argument a line, in JSON."""
    return [loaded(line, "input of a test") for line in text.split("\n") if line.strip()]


def named_in(starter: str) -> str:
    """The last function that the beginning of a program defines, within a class too."""
    try:
        tree = ast.parse(starter.rstrip() + "\n        pass")
    except (SyntaxError, ValueError, RecursionError) as e:
        raise UserError("nothing says what the function is called") from e
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    if not names:
        raise UserError("nothing says what the function is called")
    return names[-1]


def unpacked(text: str) -> list[Any]:
    """Hidden tests: JSON, or base64 of zlib of a pickle of one text of JSON, which is read without being unpickled."""
    if text.lstrip().startswith("["):
        return loaded(text, "list of tests")
    try:
        stream = zlib.decompressobj()
        data = stream.decompress(base64.b64decode(text, validate=True), LONGEST_TESTS)
        if stream.unconsumed_tail:
            raise UserError(f"tests of more than {LONGEST_TESTS // 2**20} MiB")
        found = pickled_text(data) if data[:1] == b"\x80" else data.decode("utf-8")
    except (binascii.Error, zlib.error, ValueError) as e:
        raise UserError("hidden tests that cannot be read") from e
    return loaded(found, "list of tests")


def pickled_text(data: bytes) -> str:
    """The text in a pickle that holds one text and nothing else. UserError for any other: it could run code."""
    harmless = ("PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "STOP")
    texts = []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"):
            texts.append(argument)
        elif opcode.name not in harmless:
            raise UserError("hidden tests in a pickle that is more than one text")
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise UserError("hidden tests in a pickle that is more than one text")
    return texts[0]


TESTED = {"answer": "none: programs are run on cases"}
SHAPES = (
    Shape("LiveCodeBench", live, ("question_content", "public_test_cases"), TESTED | {"prompt": "question_content"}),
    Shape("HumanEval", asserts, ("prompt", "canonical_solution", "test", "entry_point"), TESTED | {"prompt": "prompt"}),
    Shape("MBPP", asserts, ("code", "test_list", "text"), TESTED | {"prompt": "text"}),
    Shape("MBPP", asserts, ("code", "test_list", "prompt"), TESTED | {"prompt": "prompt"}),
    Shape("APPS", apps, ("question", "input_output"), TESTED | {"prompt": "question"}),
)
