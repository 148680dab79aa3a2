"""The house: every file in a room, rooms in an order, and nothing of another room but what its `__init__` offers.

Imports are read, not run.
"""

from __future__ import annotations

import ast
import symtable
from collections import Counter
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "sharpen"

# From the ground up: a room may import from those above it in this list, and any of them from the ground files.
GROUND = ("hashing", "estimate", "core", "recipe")
ROOMS = (
    *("terminal", "workers", "families", "sandbox", "verify.maths", "verify.code", "verify", "environments", "tasks", "audit"),
    "data",
    *("objectives", "models.engine", "models", "rollouts", "guard", "store", "engines", "curriculum", "recipes", "loop"),
    *("serve", "plan", "report", "view", "track", "compare", "outer", "suites", "cli"),
)
FILES = sorted(p for p in ROOT.rglob("*.py") if "drivers" not in p.parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def place(path: Path) -> str:
    """The room of a file, or the ground file that it is: the longest name of the lists that its path begins with."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    return max((r for r in (*GROUND, *ROOMS) if f"{name}.".startswith(f"{r}.")), key=len, default="")


@cache
def imports(module: ast.Module) -> list[tuple[int, str, str]]:
    """(line, module, name) of everything that is imported from this package: in functions, for type checkers, by name too."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sharpen":
            found += [(node.lineno, node.module.removeprefix("sharpen").lstrip("."), alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(node.lineno, a.name.removeprefix("sharpen."), "") for a in node.names if a.name.startswith("sharpen.")]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "importlib.import_module",
            "import_module",
            "__import__",
        ):
            named = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
            if isinstance(named, ast.Constant) and str(named.value).removeprefix("sharpen.") not in ("", str(named.value)):
                found += [(node.lineno, "", str(named.value).removeprefix("sharpen.").rstrip("."))]
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"line {node.lineno}: imports are absolute"
    return found


def reached(module: ast.Module) -> Iterator[tuple[int, str, str]]:
    """(line, room, name) of what is taken from a room that was imported as a whole."""
    bound = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sharpen":
            named = {a.asname or a.name: f"{node.module}.{a.name}".removeprefix("sharpen.") for a in node.names}
            bound |= {name: room for name, room in named.items() if room in (*ROOMS, "core")}
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            yield node.lineno, bound[node.value.id], node.attr


def door(room: str) -> ast.Module:
    """A room's `__init__`."""
    return tree(ROOT.joinpath(*room.split("."), "__init__.py"))


@cache
def offered(room: str) -> set[str]:
    """What a room's `__init__` says others may use."""
    lists = [n.value for n in door(room).body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"]
    return set(ast.literal_eval(lists[0])) if lists else set()


def misplaced(here: str, module: ast.Module) -> Iterator[str]:
    """What is wrong with the imports of a file of that room; "": the package's own `__init__`."""
    order = [*GROUND, *ROOMS]
    for line, module_name, name in imports(module):
        whole = f"{module_name}.{name}".strip(".")
        there, where = place(ROOT.joinpath(*whole.split("."))), f"line {line} imports {whole}"
        if not module_name and not there and name != "__version__":
            yield f"{where} through the package: name its room"
        if there == here or not there:
            continue
        if here and order.index(there) >= order.index(here):
            yield f"{where}, which is above it: {there} is below {here}"
        if there in (*ROOMS, "core") and whole != there:  # `from sharpen import room` is always right
            if module_name != there:
                yield f"{where}: an inside of {there}"
            elif name not in offered(there):
                yield f"{where}, which {there} does not offer"
    for line, room, name in reached(module):
        if room != here and name not in offered(room) and f"{room}.{name}" not in ROOMS:
            yield f"line {line} takes {room}.{name}, which {room} does not offer"


def test_imports_follow_the_order_of_the_rooms():
    found = [f"{path.relative_to(ROOT)}: {fault}" for path in FILES for fault in misplaced(place(path), tree(path))]
    assert found == []


@pytest.mark.parametrize(
    "here, source",
    [
        ("store", "from sharpen import cli"),
        ("store", "import sharpen.cli as below"),
        ("store", "def lazily():\n    from sharpen.loop import start"),
        ("store", "if TYPE_CHECKING:\n    from sharpen.loop import Request"),
        ("store", "import importlib\nimportlib.import_module('sharpen.cli')"),
        ("store", "import importlib\nimportlib.import_module(f'sharpen.recipes.{name}')"),
        ("store", "from sharpen import run"),  # whose home is the loop
        ("recipe", "from sharpen import recipes"),
        ("core", "from sharpen.tasks import jsonl"),
        ("loop", "from sharpen.data.growth import procedural"),
        ("loop", "def lazily():\n    import sharpen.data.growth"),
        ("loop", "from sharpen.data import _within"),
        ("loop", "from sharpen.data import *"),
        ("loop", "from sharpen import store\nstore.tables"),
    ],
)
def test_an_import_that_is_out_of_order_is_found(here, source):
    assert list(misplaced(here, ast.parse(source)))


def test_every_file_has_a_room_and_the_root_is_small():
    root = {p.name for p in ROOT.iterdir() if p.is_file()}
    assert root <= {*(f"{name}.py" for name in GROUND), "__init__.py", "__main__.py", "py.typed"} and len(root) <= 8
    assert not [p for p in FILES if not place(p) and p.parent != ROOT]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_what_it_may_import(room):
    doc = ast.get_docstring(door(room)) or ""
    (said,) = [part for part in doc.split("\n\n") if part.startswith("May import: ")]
    used = {
        place(ROOT.joinpath(*f"{m}.{n}".strip(".").split(".")))
        for p in FILES
        if place(p) == room
        for _, m, n in imports(tree(p))
    }
    for other in used - {room, "", *GROUND}:
        assert other in said.replace(",", " ").replace(".\n", " ").rstrip(".").split(), f"{room} imports {other}: say so"
    for other in ROOMS:
        assert other in used or other not in said.replace(",", " ").rstrip(".").split(), f"{room} does not import {other}"


def test_files_and_functions_are_short():
    assert [path for path in FILES if path.read_text(encoding="utf-8").count("\n") > 400] == []
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    found = [(path, node) for path in FILES for node in ast.walk(tree(path)) if isinstance(node, functions)]
    assert [f"{path}: {node.name}" for path, node in found if node.end_lineno - node.lineno >= 60] == []


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


CONTRACTS = {
    "core/roles.py": ("Role",),
    "core/events.py": ("Ask", "Failed"),
    "core/rollouts.py": ("Span", "Turn"),
    "core/growth.py": ("Weakness", "Refused", "Repair", "nothing"),
    "recipe.py": ("Stage", "Stages"),
    "loop/offers.py": ("Moment", "Offer"),
    "core/verdicts.py": ("Decision",),
}


@pytest.mark.parametrize("file", CONTRACTS)
def test_what_a_recipe_builds_on_is_a_page_of_code(file):
    """Forty lines at most, without docstrings and comments."""
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    found = [node for node in body if getattr(node, "name", "") in CONTRACTS[file]]
    for node in [inner for outer in found for inner in ast.walk(outer)]:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    lines = [line for node in found for line in ast.unparse(node).splitlines() if line]
    assert len(found) == len(CONTRACTS[file]) and len(lines) <= 40
