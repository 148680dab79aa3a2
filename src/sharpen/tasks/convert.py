"""HumanEval's and MBPP's tests, which are Python functions full of asserts, as cases for `code_io`.

    python -m sharpen.tasks.convert HumanEval.jsonl.gz > humaneval.jsonl
    sharpen run grpo --model path/to/model --tasks humaneval.jsonl --set max_tokens=512

1. The reference solution runs once, in the sandbox, under the asserts. Every call that they make is a case: its arguments, and
   what the reference returned, or the exception that it raised. So tests with loops, random arguments (the generator is seeded
   with 0) and helper functions need no special care; of the hundred calls of some loops the first MOST_CASES are taken. A
   reference that fails its own asserts is a UserError. What only the reference imports or defines is not lent to a candidate.
2. Where every assert has the form `candidate(…) == …`, a case passes where the candidate returns what the reference did; for
   Python's == is transitive on plain values.
3. Every other test (a tolerance, `is True`, the truth of a value, a property instead of a value) becomes a checker: the
   asserts themselves, run again in a second sandbox, with the candidate's value in the place of this one call and the reference
   behind all others. 9 of HumanEval's 164 problems are of this kind: 2, 4, 32, 33, 37, 52, 56, 61 and 72.

A candidate's code never meets the asserts. Tests are read by `ast` here, and never run in this process. It differs from
HumanEval in two points, both stricter: HumanEval/33 compares the candidate with the reference instead of with itself, and an
object that is no plain value is never right.
"""

from __future__ import annotations

import ast
import gzip
import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sharpen.core import Task, UserError
from sharpen.verify.code import Budget, Refused, build, driver, execute, last_line

LIMIT = Budget(seconds=60.0, memory_mb=1024)  # of one reference solution under all its asserts
MOST_CASES = 30
ASKED = "Write this Python function. Answer with the whole function, in one code block.\n\n```python\n{prompt}\n```"

# After the reference and the test, with `pack` and `unpack` from drivers/values.py before them.
RECORD = """
def _record():
    import random
    found = []
    def candidate(*args, **kwargs):
        given = [[_pack(arg) for arg in args], {name: _pack(arg) for name, arg in kwargs.items()}]
        try:
            value = _reference(*args, **kwargs)
        except Exception as e:
            found.append([*given, {"$raised": type(e).__name__}])
            raise
        found.append([*given, _pack(value)])
        return value
    random.seed(0)
    check(candidate)
    print("\\n" + _nonce, _dumps(found))
_record()
"""
REPLAY = """
def _replay():
    import copy, random, sys
    request = _loads(sys.stdin.read())
    args, kwargs = tuple(map(_unpack, request["args"])), {name: _unpack(arg) for name, arg in request["kwargs"].items()}
    value = _unpack(request["given"])
    def candidate(*now, **named):
        return copy.deepcopy(value) if (now, named) == (args, kwargs) else _reference(*now, **named)
    random.seed(0)
    check(candidate)
_replay()
"""
KEEP = "\nfrom json import dumps as _dumps, loads as _loads\n_pack, _unpack = pack, unpack\n"


def convert(record: Mapping[str, Any], time_limit_s: float = 5.0, memory_mb: int = 512) -> dict[str, Any]:
    """A line of a file of tasks from one record of HumanEval (prompt, canonical_solution, test, entry_point) or of MBPP (text
    or prompt, code, test_list, test_setup_code). The reference is its `solution`.

    Raises UserError where it is neither, where its reference fails its own tests, or where their values have no form in JSON.
    """
    if {"prompt", "canonical_solution", "test", "entry_point"} <= set(record):
        name, test = record["entry_point"], record["test"]
        reference = record["prompt"] + record["canonical_solution"]
        prompt, preamble = ASKED.format(prompt=record["prompt"].rstrip()), before(reference, name)
    elif {"code", "test_list"} <= set(record) and ({"text", "prompt"} & set(record)):
        reference = f"{record.get('test_setup_code') or ''}\n{record['code']}"
        name, test = check_of(record["test_list"], reference)
        preamble = (
            record.get("test_setup_code") or ""
        ).strip()  # what its tests stand on; the reference's own helpers stay hidden
        example = record["test_list"][0]
        prompt = f"{record.get('text') or record.get('prompt')} The function is called `{name}`; for example: `{example}`."
    else:
        raise UserError(
            "neither a record of HumanEval (prompt, canonical_solution, test, entry_point) nor of MBPP (text, code, test_list)"
        )
    program = f"{driver('values.py').decode()}{KEEP}\n{reference}\n{test}\n_reference = {name}\n"
    tests = [{"args": args, "kwargs": kwargs, **expected(value)} for args, kwargs, value in calls(program)]
    line = {
        "prompt": prompt,
        "verifier": "code_io",
        "language": "python",
        "function": {"name": name, "preamble": preamble},
        "tests": [json.loads(case) for case in dict.fromkeys(json.dumps(case) for case in tests)][:MOST_CASES],
        "time_limit_s": time_limit_s,
        "memory_mb": memory_mb,
        "solution": f"```python\n{reference.strip()}\n```",
    }
    if not plain(test):
        line["checker"] = {"language": "python", "code": program + REPLAY}
    identity = record.get("task_id")
    return ({"id": str(identity)} if identity is not None else {}) | line


def expected(value: Any) -> dict[str, Any]:
    """What a case expects of a call: the value that the reference returned, or the exception that it raised."""
    raised = value.get("$raised") if isinstance(value, dict) else None
    return {"raises": raised} if isinstance(raised, str) else {"returns": value}


def calls(program: str) -> list[list[Any]]:
    """[args, kwargs, value] of each call that the asserts make, from running the reference under them in the sandbox."""
    nonce = secrets.token_hex(16)
    built = build("python", f"{program}\n_nonce = {nonce!r}\n{RECORD}")
    assert not isinstance(built, Refused)  # Python is not compiled before it runs
    (ran,) = execute(built, [b""], LIMIT)
    if ran.status == "failed":
        raise RuntimeError(f"the sandbox failed: {last_line(ran.stderr)}")
    found = [line for line in ran.stdout.splitlines() if line.startswith(nonce.encode())]
    if ran.status != "exited" or ran.code != 0 or len(found) != 1:
        raise UserError(f"the reference solution fails its own tests: {ran.status}: {last_line(ran.stderr)}")
    made = json.loads(found[0].partition(b" ")[2])
    if not made:
        raise UserError("the tests never call the function")
    if "$other" in json.dumps(made):
        raise UserError("the tests use values that have no form in JSON, such as functions or objects")
    return made


def plain(test: str) -> bool:
    """Whether `candidate` is used in asserts of the form `candidate(…) == …` alone."""
    tree = parsed(test)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            node.msg = None  # evaluated for a failing assert only, and the reference fails none
    used = sum(isinstance(node, ast.Name) and node.id == "candidate" for node in ast.walk(tree))
    equalities = 0
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare)):
            continue
        left, names = node.test.left, [n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)]
        called = isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "candidate"
        equalities += called and names.count("candidate") == 1 and [type(op) for op in node.test.ops] == [ast.Eq]
    return used == equalities > 0


def check_of(asserts: list[str], reference: str) -> tuple[str, str]:
    """(function's name, `def check(candidate)`) of MBPP's asserts, which call the function by its own name."""
    tree = parsed("\n".join(asserts))
    defined = [node.name for node in parsed(reference).body if isinstance(node, ast.FunctionDef)]
    called = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    name = next((name for name in called if name in defined), None)
    if name is None:
        raise UserError("the tests call no function that the reference solution defines")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name:
            node.id = "candidate"
    body = "\n".join(ast.unparse(statement) for statement in tree.body)
    return name, "def check(candidate):\n" + "".join(f"    {line}\n" for line in body.splitlines())


def before(reference: str, name: str) -> str:
    """What stands before a function: imports and helpers that its prompt shows, and so a candidate may count on."""
    for node in parsed(reference).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(reference.splitlines()[: first - 1]).strip()
    raise UserError(f"the reference solution does not define {name}")


def parsed(code: str) -> ast.Module:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError) as e:
        raise UserError(f"this is not Python: {e}") from e


def records(path: Path) -> Iterator[Mapping[str, Any]]:
    """The records of a file of JSON lines, plain or gzipped."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def main(path: str) -> None:
    """Write a file of tasks to stdout; a record that cannot be converted is named on stderr, and left out."""
    family = Path(path).name.partition(".")[0].lower()
    for number, record in enumerate(records(Path(path)), 1):
        try:
            print(json.dumps({"family": family, **convert(record)}, ensure_ascii=False))
        except UserError as e:
            print(f"{path}, record {number}: left out: {e}", file=sys.stderr)


def task(line: Mapping[str, Any], family: str = "humaneval") -> Task:
    """The `core.Task` of one converted line, for use without a file."""
    from sharpen.tasks.files import task_of

    return task_of(dict(line), family, "the converted record")[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
