"""Tools that ship, each a class of the contract: its public methods are what a model may call, on what the task's data holds.

python is the one that runs code: in the sandbox, with its earlier cells played again (`cells`). verilog runs there, too. The
others are bounded work on texts, here. A ValueError is a mistake of the model's, and is told it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from sharpen.core import Run, UserError
from sharpen.environments.retrieval import large
from sharpen.verify.maths import calculate

MOST_FILES, MOST_TEXT = 100, 200_000  # that a model may write
STEPS = 2_000_000  # of SQLite's machine, for one query: about a second
ROWS = 50
MOST_VALUE, MOST_PAGES = 20_000, 8192  # bytes of one value; pages of 4 KiB of each of its databases
CELLS = """
import ast, contextlib, io, json
def _play(cells):
    space = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        last = number == len(cells) - 1
        tree = ast.parse(cell)
        end = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        quiet = contextlib.nullcontext() if last else contextlib.redirect_stdout(io.StringIO())
        with quiet:
            exec(compile(tree, "<cell>", "exec"), space)
            if end is not None:
                value = eval(compile(ast.Expression(end.value), "<cell>", "eval"), space)
                if last and value is not None:
                    print(repr(value))
_play(json.loads({cells!r}))
"""


class Calculator:
    """Exact arithmetic."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """It needs nothing."""

    def calculate(self, expression: str) -> str:
        """Work out an expression exactly.

        expression  such as 17 * (3 + 1/4)
        """
        found = calculate(expression[:1000])
        if found is None:
            raise ValueError("this cannot be worked out")
        return found


class Python:
    """Python with state: what earlier cells that ran defined is there, as if one interpreter had run them all."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.past: list[str] = []
        self.asked = ""

    def python(self, code: str) -> str:
        """Run Python code; what it prints comes back, and the value of a last expression. Variables stay.

        code  the code
        """
        raise NotImplementedError("it is run in the sandbox")

    def run(self, code: str, seconds: float) -> Run:
        self.asked = code
        return Run(cells([*self.past, code]), seconds=seconds)

    def ran(self, ok: bool) -> None:
        """Only what ran without an error is played again."""
        self.past += [self.asked] if ok else []


def cells(code: list[str]) -> str:
    """One program of all cells, of which the last alone is heard.

    DataMind (arXiv 2509.25084, released code) blanks the lines that print, which breaks a call over several lines; here the
    earlier cells' output goes nowhere. Random numbers, time and what others write may differ from a live interpreter.
    """
    return CELLS.replace("{cells!r}", repr(json.dumps(code)))


class Verilog:
    """A Verilog simulator: Icarus."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """It needs nothing."""

    def simulate(self, source: str) -> str:
        """Compile and run Verilog, and see what it displays.

        source  modules, a test bench among them
        """
        raise NotImplementedError("it is run in the sandbox")

    def run(self, source: str, seconds: float) -> Run:
        return Run(source, "verilog", seconds=seconds)

    def ran(self, ok: bool) -> None:
        """Nothing stays."""


class Files:
    """Files without a shell: those of the task's data `files`, {name: text}, and what is written. Nothing reaches a disk."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.held = {str(name): str(text) for name, text in dict(data.get("files", {})).items()}

    def list_files(self) -> str:
        """The names of all files, with their sizes."""
        return "\n".join(f"{name}  {len(text)}" for name, text in sorted(self.held.items())) or "there is none"

    def read_file(self, name: str, start: int = 1, lines: int = 100) -> str:
        """Read lines of a file.

        name   of the file
        start  the first line
        lines  how many
        """
        return "\n".join(self.text(name).splitlines()[max(start, 1) - 1 :][: max(lines, 0)])

    def write_file(self, name: str, text: str) -> str:
        """Write a file anew.

        name  of the file
        text  all of it
        """
        if len(self.held) >= MOST_FILES or len(text) + sum(map(len, self.held.values())) > MOST_TEXT:
            raise ValueError("there is no room for it")
        self.held[name] = text
        return "written"

    def replace_in_file(self, name: str, old: str, new: str) -> str:
        """Replace a piece of a file that occurs once.

        name  of the file
        old   the piece, as it stands there
        new   what takes its place
        """
        if (times := self.text(name).count(old)) != 1 or not old:
            raise ValueError(f"that piece occurs {times} times")
        return self.write_file(name, self.held[name].replace(old, new))

    def text(self, name: str) -> str:
        if name not in self.held:
            raise ValueError(f"there is no file {name!r}")
        return self.held[name]


class Database:
    """SQLite in memory, made by the task's data `sql`, a script."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        self.db.executescript(str(data.get("sql", "")))
        for part in ("main", "temp"):
            self.db.execute(f"PRAGMA {part}.max_page_count = {MOST_PAGES}")
        self.db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_VALUE)  # hex(zeroblob(1e9)) is one step
        self.db.set_authorizer(allowed)

    def sql(self, query: str) -> str:
        """Run one statement of SQL; its rows come back, at most 50.

        query  such as SELECT name FROM sqlite_master
        """
        steps = iter(range(STEPS // 1000))
        self.db.set_progress_handler(lambda: next(steps, None) is None, 1000)
        try:
            cursor = self.db.execute(query)
            rows = cursor.fetchmany(ROWS + 1)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise ValueError(str(error)) from error
        names = " | ".join(column[0] for column in cursor.description or ())
        shown = [" | ".join(map(str, row)) for row in rows[:ROWS]]
        return "\n".join([names, *shown, *(["…"] if len(rows) > ROWS else [])]) if names else "done"


def allowed(action: int, *about: Any) -> int:
    """No other file is opened, and nothing is loaded."""
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_PRAGMA) else sqlite3.SQLITE_OK


class Search:
    """BM25 over the task's data `documents`, a list of texts."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.index = large([str(text) for text in data.get("documents", ())])

    def search(self, query: str, k: int = 3) -> str:
        """Find the texts that fit best.

        query  words
        k      how many texts
        """
        found = self.index.search(query, max(1, min(k, 10)))
        return "\n\n".join(self.index.texts[i] for i in found) or "nothing was found"


class Planner:
    """Plans of the task's data `domain` and `problem` (PDDL), held against them by unified-planning."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.domain, self.problem = str(data.get("domain", "")), str(data.get("problem", ""))

    def check_plan(self, plan: str) -> str:
        """Is this plan valid, and does it reach the goal?

        plan  one action a line, such as (pick-up a)
        """
        return check_plan(self.domain, self.problem, plan)


def check_plan(domain: str, problem: str, plan: str) -> str:
    """ "valid", or why not. ValueError where the plan cannot be read. UserError where the package is missing."""
    try:
        from unified_planning.engines import SequentialPlanValidator
        from unified_planning.engines.results import ValidationResultStatus
        from unified_planning.exceptions import UPException
        from unified_planning.io import PDDLReader
    except ImportError as error:
        raise UserError("plans need unified-planning, not installed here: pip install 'sharpen[planning]'") from error
    reader = PDDLReader()
    task = reader.parse_problem_string(domain, problem)
    try:
        read = reader.parse_plan_string(task, plan)
    except (UPException, AssertionError, KeyError, ValueError, IndexError) as error:
        raise ValueError(f"this is no plan of the domain: {error}") from error
    found = SequentialPlanValidator().validate(task, read)
    return "valid" if found.status == ValidationResultStatus.VALID else f"invalid: {found.reason or 'it does not hold'}"


class Chart:
    """Charts of the task's data `table`, a list of rows."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.table = [dict(row) for row in data.get("table", ())]

    def chart(self, mark: str, x: str, y: str, aggregate: str = "") -> str:
        """Draw the table as a chart.

        mark       bar, line, point or area
        x          a column
        y          a column
        aggregate  mean, sum, count, min or max of y, where it is wanted
        """
        return f"a picture of {len(draw(self.table, mark, x, y, aggregate))} bytes"


def draw(table: list[dict[str, Any]], mark: str, x: str, y: str, aggregate: str = "") -> bytes:
    """A PNG. ValueError for what is no chart of the table. UserError where the packages are missing."""
    columns = {name for row in table for name in row}
    marks, aggregates = ("bar", "line", "point", "area"), ("", "mean", "sum", "count", "min", "max")
    for value, known in ((mark, marks), (aggregate, aggregates), (x, columns), (y, columns)):
        if value not in known:
            raise ValueError(f"{value!r} is none of {', '.join(sorted(known))}")
    try:
        import vl_convert
    except ImportError as error:
        raise UserError("charts need vl-convert-python, not installed here: pip install 'sharpen[charts]'") from error
    encoding: dict[str, Any] = {"x": {"field": x}, "y": {"field": y} | ({"aggregate": aggregate} if aggregate else {})}
    for channel in encoding.values():
        numbers = all(isinstance(row.get(channel["field"]), int | float) for row in table)
        channel["type"] = "quantitative" if numbers else "nominal"
    spec = {"data": {"values": table}, "mark": mark, "encoding": encoding}
    return vl_convert.vegalite_to_png(spec, allowed_base_urls=[])


TOOLS: Mapping[str, Any] = {
    "calculator": Calculator,
    "python": Python,
    "files": Files,
    "database": Database,
    "search": Search,
    "verilog": Verilog,
    "planner": Planner,
    "chart": Chart,
}
