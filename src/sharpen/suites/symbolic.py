"""Formulas compared as trees: the normalised edit distance of SRSD.

Matsubara et al., "Rethinking Symbolic Regression Datasets and Benchmarks for Scientific Discovery", arXiv 2206.10540: NED =
min(TED(f, f*), |f*|) / |f*|, TED the tree edit distance of Zhang and Shasha with unit costs, |f*| the nodes of the true tree;
every number is the one label Const, sums and products have as many children as they have parts.

Differs: trees are made by sympy's own automatic rules, which merge x + x to 2 x and order the parts; its `factor` and
`simplify`, which may take for ever on what a model writes, are not called.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sharpen.core import UserError

LONGEST, NODES = 300, 60  # characters, and nodes, of a formula that is read
POWER, TOWER = 6, 2  # largest exponent that is read, and powers of powers: beyond, numbers grow without end
FUNCTIONS = ("sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "abs")


class NoFormula(ValueError):
    """What was written is no formula."""


def parsed(text: str, names: tuple[str, ...]) -> ast.expr:
    """A formula of these variables, every node of which is known. Raises NoFormula; nothing is evaluated."""
    text = text.strip().strip("`$").replace("^", "**")
    text = text.rpartition("=")[2].strip()
    if not text or len(text) > LONGEST:
        raise NoFormula("no formula, or a very long one")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NoFormula("it cannot be read") from error
    nodes = list(ast.walk(tree))
    if len(nodes) > 3 * NODES or not all(allowed(node, names) for node in nodes):
        raise NoFormula("it is too large, or holds something else than variables, numbers and known functions")
    if tower(tree) > TOWER:
        raise NoFormula("it raises powers to powers")
    return tree


def tower(node: ast.AST) -> int:
    """The most powers within one another."""
    own = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)
    return int(own) + max((tower(child) for child in ast.iter_child_nodes(node)), default=0)


def allowed(node: ast.AST, names: tuple[str, ...]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in (*names, *FUNCTIONS, "pi", "e")
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float) and abs(float(node.value)) < 1e9  # type: ignore[arg-type]
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "") in FUNCTIONS and len(node.args) == 1 and not node.keywords
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return constant(node.right) is not None and abs(constant(node.right) or 0) <= POWER
    kinds = ast.BinOp | ast.UnaryOp | ast.Add | ast.Sub | ast.Mult | ast.Div | ast.Pow | ast.USub | ast.UAdd
    return isinstance(node, kinds | ast.expr_context)


def constant(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = constant(node.operand)
        return None if inner is None else -inner
    if not isinstance(node, ast.Constant) or not isinstance(node.value, int | float):
        return None
    return float(node.value)


def value(node: ast.expr, known: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a formula comes to at points; NaN or infinite where it is not defined."""
    with np.errstate(all="ignore"):
        if isinstance(node, ast.Constant):
            return np.full_like(next(iter(known.values())), float(node.value))  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            size = next(iter(known.values()))
            return np.full_like(size, math.pi if node.id == "pi" else math.e) if node.id in ("pi", "e") else known[node.id]
        if isinstance(node, ast.UnaryOp):
            return value(node.operand, known) * (-1 if isinstance(node.op, ast.USub) else 1)
        if isinstance(node, ast.Call):
            return getattr(np, node.func.id)(value(node.args[0], known))  # type: ignore[attr-defined]
        assert isinstance(node, ast.BinOp)
        a, b = value(node.left, known), value(node.right, known)
        kinds = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.power}
        return kinds[type(node.op)](a, b)


def fit(node: ast.expr, points: Mapping[str, np.ndarray], wanted: np.ndarray) -> float:
    """R^2 at these points; minus infinity where the formula is not defined at one of them."""
    said = value(node, points)
    if not np.isfinite(said).all():
        return -math.inf
    return 1 - float(((said - wanted) ** 2).sum() / ((wanted - wanted.mean()) ** 2).sum())


def normal(node: ast.expr) -> Any:
    """The formula as sympy has it. UserError where sympy is missing."""
    try:
        import sympy
    except ImportError:
        raise UserError("comparing formulas needs sympy and zss: pip install 'sharpen[suite]'") from None
    if isinstance(node, ast.Constant):
        return sympy.Float(node.value) if isinstance(node.value, float) else sympy.Integer(node.value)
    if isinstance(node, ast.Name):
        return {"pi": sympy.pi, "e": sympy.E}.get(node.id, sympy.Symbol(node.id, real=True))
    if isinstance(node, ast.UnaryOp):
        return normal(node.operand) * (-1 if isinstance(node.op, ast.USub) else 1)
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", "")
        made: Any = sympy.Abs if name == "abs" else getattr(sympy, name)
        return made(normal(node.args[0]))
    assert isinstance(node, ast.BinOp)
    a, b = normal(node.left), normal(node.right)
    if isinstance(node.op, ast.Add | ast.Sub):
        return a + b if isinstance(node.op, ast.Add) else a - b
    return a * b if isinstance(node.op, ast.Mult) else a / b if isinstance(node.op, ast.Div) else a**b


def tree(made: Any) -> Any:
    """The labelled tree, as zss has one."""
    import zss

    if made.is_number:
        return zss.Node("Const")
    if not made.args:
        return zss.Node(str(made))
    root = zss.Node(type(made).__name__)
    for part in sorted(made.args, key=str):
        root.addkid(tree(part))
    return root


def size(made: Any) -> int:
    return 1 if made.is_number or not made.args else 1 + sum(map(size, made.args))


def distance(said: str, truth: str, names: tuple[str, ...]) -> float:
    """NED, 0 for the same tree to 1 for one as far away as an empty one; 1 for what is no formula."""
    right = normal(parsed(truth, names))
    try:
        found = normal(parsed(said, names))
        if size(found) > NODES or found.has(*_undefined()):
            return 1.0
    except (NoFormula, ArithmeticError, ValueError, TypeError, RecursionError):
        return 1.0
    import zss

    return min(float(zss.simple_distance(tree(found), tree(right))), float(size(right))) / size(right)


def _undefined() -> tuple[Any, ...]:
    import sympy

    return sympy.nan, sympy.zoo, sympy.oo, -sympy.oo
