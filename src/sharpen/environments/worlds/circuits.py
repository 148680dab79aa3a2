"""OriGen (arXiv 2407.16237): Verilog that is broken or described, a compiler's words to mend it, a simulation that decides.

A task has a module of one 8-bit input and a fault in it; the agent hands in the module. Compiling is not being right: `same`
compares with the source over all 256 inputs, and what only compiles is counted by itself. With Icarus Verilog installed its own
words come back (recipes/environments/origen.py runs it in the sandbox); here the small part of the language that the tasks use
is read and run by this file, so that the mechanism is there without it.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Mapping
from typing import Any

from sharpen.core import Verdict

MODULE = re.compile(
    r"module\s+(\w+)\s*\(\s*input\s*\[7:0\]\s*a\s*,\s*output\s*\[7:0\]\s*y\s*\)\s*;\s*assign\s+y\s*=\s*([^;]+);\s*endmodule"
)
FORMS = ("a + 8'd{n}", "a ^ 8'd{n}", "(a << {k}) | 8'd{n}", "~a & 8'd{n}", "(a >> {k}) + 8'd{n}")
SAID = {"a + 8'd{n}": "a plus {n}", "a ^ 8'd{n}": "a xor {n}", "(a << {k}) | 8'd{n}": "a shifted left by {k}, or {n}"}
SAID |= {"~a & 8'd{n}": "the complement of a, and {n}", "(a >> {k}) + 8'd{n}": "a shifted right by {k}, plus {n}"}
ALLOWED: tuple[type[ast.AST], ...] = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, ast.Constant, ast.Add, ast.Sub),
    *(ast.BitXor, ast.BitOr, ast.BitAnd, ast.LShift, ast.RShift, ast.Invert),
)


def module(body: str) -> str:
    return f"module m(input [7:0] a, output [7:0] y);\n  assign y = {body};\nendmodule"


def made(task: Mapping[str, Any]) -> tuple[str, str, str]:
    """(description, right source, broken source)."""
    draw = random.Random(f"circuit {task.get('seed', 0)}")
    form, n, k = draw.choice(FORMS), draw.randint(1, 200), draw.randint(1, 3)
    right = module(form.format(n=n, k=k))
    fault = draw.choice(("semicolon", "wire", "endmodule"))
    broken = {"semicolon": right.replace(";\nend", "\nend"), "wire": right.replace("= ", "= b + ", 1), "endmodule": right[:-10]}
    return SAID[form].format(n=n, k=k), right, broken[fault]


def compiled(source: str) -> tuple[ast.Expression | None, str]:
    """(the output as an expression of a, ""), or (None, what a compiler says)."""
    if source.count("module") < 2 or "endmodule" not in source:
        return None, "syntax error: endmodule is missing"
    found = MODULE.fullmatch(source.strip())
    if found is None:
        return None, "syntax error: a semicolon or a port is missing"
    body = re.sub(r"\d*'d(\d+)", r"\1", found[2]).strip()
    try:
        tree = ast.parse(body, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None, f"syntax error in {body[:60]!r}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id != "a":
            return None, f"Unable to bind wire/reg/memory `{node.id}' in `{found[1]}'"
        if not isinstance(node, ALLOWED) or (isinstance(node, ast.Constant) and type(node.value) is not int):
            return None, f"sorry: {type(node).__name__} is not supported"
    return tree, ""


def value(node: Any, a: int) -> int:
    """What an expression comes to, of 32 bits. Nothing is evaluated by Python."""
    if isinstance(node, ast.Expression):
        return value(node.body, a) & 0xFF
    if isinstance(node, ast.Constant):
        return int(str(node.value)) & 0xFFFFFFFF
    if isinstance(node, ast.Name):
        return a
    if isinstance(node, ast.UnaryOp):
        return ~value(node.operand, a) & 0xFFFFFFFF
    left, right = value(node.left, a), value(node.right, a)
    shift = min(right, 32)
    work: dict[type, int] = {ast.Add: left + right, ast.Sub: left - right, ast.BitXor: left ^ right, ast.BitOr: left | right}
    work |= {ast.BitAnd: left & right, ast.LShift: left << shift, ast.RShift: left >> shift}
    return work[type(node.op)] & 0xFFFFFFFF


def same(source: str, right: str) -> bool:
    """Whether two modules do the same on all 256 inputs."""
    one, other = compiled(source)[0], compiled(right)[0]
    return one is not None and other is not None and all(value(one, a) == value(other, a) for a in range(256))


class Circuits:
    """Tools: compile, submit. Level 1 gives the broken source, level 2 the description alone."""

    def reset(self, task: Mapping[str, Any]) -> str:
        said, self.right, broken = made(task)
        self.handed, self.done = "", False
        return f"y is {said}.\n{broken}" if int(task.get("level", 1)) == 1 else f"Write module m(a, y): y is {said}."

    def compile(self, source: str) -> str:
        """Compile Verilog.

        source  the module
        """
        return compiled(source)[1] or "it compiles"

    def submit(self, source: str) -> str:
        """Hand the module in.

        source  the module
        """
        self.handed, self.done = source, True
        return "taken"

    def reward(self) -> Verdict:
        compiles, right = float(compiled(self.handed)[0] is not None), same(self.handed, self.right)
        return Verdict("correct" if right else "wrong", float(right), {"compiles": compiles}, rule="256 inputs")


def solution(task: Mapping[str, Any]) -> list[str]:
    import json

    return [f"submit(source={json.dumps(made(task)[1])})"]
