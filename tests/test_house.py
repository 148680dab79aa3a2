"""The house: every file in a room, rooms in an order, and nothing of another room but what its `__init__` offers.

Imports are read, not run.
"""

from __future__ import annotations

import ast
import symtable
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "sharpen"

# From the ground up: a room may import from those above it in this list, and any of them from the ground files.
GROUND = ("hashing", "estimate", "core", "recipe")
ROOMS = (
    *("terminal", "families", "sandbox", "verify.maths", "verify.code", "verify", "environments", "tasks", "audit", "data"),
    *("objectives", "models.engine", "models", "rollouts", "guard", "store", "engines", "curriculum", "recipes", "loop"),
    *("serve", "plan", "report", "view", "track", "compare", "outer", "suites", "cli"),
)
FILES = sorted(p for p in ROOT.rglob("*.py") if "drivers" not in p.parts)


def place(path: Path) -> str:
    """The room of a file, or the ground file that it is: the longest name of the lists that its path begins with."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    return max((r for r in (*GROUND, *ROOMS) if f"{name}.".startswith(f"{r}.")), key=len, default="")


def imports(path: Path) -> list[tuple[int, str, str]]:
    """(line, module, name) of everything that a file imports from this package, type checkers' imports too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sharpen":
            found += [(node.lineno, node.module.removeprefix("sharpen").lstrip("."), alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(node.lineno, a.name.removeprefix("sharpen."), "") for a in node.names if a.name.startswith("sharpen.")]
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}:{node.lineno}: imports are absolute"
    return found


def offered(room: str) -> set[str]:
    """What a room's `__init__` says others may use."""
    tree = ast.parse((ROOT.joinpath(*room.split(".")) / "__init__.py").read_text(encoding="utf-8"))
    lists = [n.value for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"]
    return set(ast.literal_eval(lists[0])) if lists else set()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_order_of_the_rooms(path):
    here, order = place(path), [*GROUND, *ROOMS]
    for line, module, name in imports(path):
        there = place(ROOT.joinpath(*f"{module}.{name}".strip(".").split(".")))
        if there == here or not there:
            continue
        where = f"{path.relative_to(ROOT)}:{line} imports {module}.{name}"
        assert not here or order.index(there) < order.index(here), f"{where}, which is above it: {there} is below {here}"
        if there in (*ROOMS, "core") and module:  # `from sharpen import room` is always right
            assert module == there or f"{module}.{name}" == there, f"{where}: an inside of {there}"
            assert f"{module}.{name}" == there or name in offered(there), f"{where}, which {there} does not offer"


def test_every_file_has_a_room_and_the_root_is_small():
    root = {p.name for p in ROOT.iterdir() if p.is_file()}
    assert root <= {*(f"{name}.py" for name in GROUND), "__init__.py", "__main__.py", "py.typed"} and len(root) <= 8
    assert not [p for p in FILES if not place(p) and p.parent != ROOT]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_what_it_may_import(room):
    doc = ast.get_docstring(ast.parse((ROOT.joinpath(*room.split(".")) / "__init__.py").read_text(encoding="utf-8"))) or ""
    (said,) = [part for part in doc.split("\n\n") if part.startswith("May import: ")]
    used = {
        place(ROOT.joinpath(*f"{m}.{n}".strip(".").split("."))) for p in FILES if place(p) == room for _, m, n in imports(p)
    }
    for other in used - {room, "", *GROUND}:
        assert other in said.replace(",", " ").replace(".\n", " ").rstrip(".").split(), f"{room} imports {other}: say so"
    for other in ROOMS:
        assert other in used or other not in said.replace(",", " ").rstrip(".").split(), f"{room} does not import {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} has more than 60 lines"


def test_no_two_files_of_tests_share_a_name():
    """pytest would refuse to collect the second, and say so only where both are asked for."""
    names = Counter(p.name for p in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, times in names.items() if times > 1] == []


def confused(table: symtable.SymbolTable) -> list[str]:
    """Names that one comprehension of a function binds, and that another one of it means to be a global or a builtin.

    Python 3.12.0 to 3.12.3 takes the second for the first, and fails: comprehensions are inlined there.
    """
    inlined = [t for t in table.get_children() if t.get_name().strip("<>") in ("listcomp", "setcomp", "dictcomp")]
    bound = {s.get_name() for t in inlined for s in t.get_symbols() if s.is_local()}
    meant = {s.get_name() for t in inlined for s in t.get_symbols() if s.is_global()}
    here = [f"{table.get_name()}: {name}" for name in sorted(bound & meant)] if table.get_type() == "function" else []
    return here + [name for t in table.get_children() for name in confused(t)]


def test_no_comprehension_takes_a_name_from_another():
    """`id` was such a name: nothing ran on Ubuntu 24.04's own Python."""
    read = partial(symtable.symtable, filename="", compile_type="exec")
    assert confused(read("def f(x):\n a = [y for y, id in x]\n return {id(y): y for y in a}")) == ["f: id"]
    assert not confused(read("def f(x):\n a = [id for id in x]\n return [id for id in a if id]"))
    found = [f"{path.relative_to(ROOT)} {name}" for path in FILES for name in confused(read(path.read_text("utf-8")))]
    assert not found, f"rename the first: {found}"
