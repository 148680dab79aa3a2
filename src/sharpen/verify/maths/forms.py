"""One form for what is written in many: a ± b as two answers, x ≠ 2 as a union of intervals, (x, y) = (1, 2) as (1, 2)."""

from __future__ import annotations

from dataclasses import replace

from sharpen.verify.maths import arithmetic
from sharpen.verify.maths.arithmetic import Unknown
from sharpen.verify.maths.expressions import Node, skeleton_of, walk

MOST_ITEMS = 60  # of a set or list; comparing takes the square of it
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
INFINITY = Node("constant", value="∞")
EVERYTHING = Node("group", (Node("neg", (INFINITY,)), INFINITY), "()")


def alternatives(node: Node) -> Node:
    """a ± b as the list of both, ℝ and ∅ as an interval and a set; any other node as it is.

    Signs go together: a ± b ∓ c is two answers, not four.
    """
    if node.op == "constant" and node.value in "ℝ∅":
        return Node("set") if node.value == "∅" else EVERYTHING
    if node.op in ("list", "set") and any(child.op in ("pm", "mp", "relation") for child in node.args):
        items = [alternatives(child) for child in node.args]
        return replace(node, args=tuple(i for item in items for i in (item.args if item.op == "list" else (item,))))
    if node.op == "relation" and node.value == ("=",):
        right = alternatives(node.args[1])
        return (
            Node("list", tuple(replace(node, args=(node.args[0], r)) for r in right.args), "or") if right.op == "list" else node
        )
    if node.op in ("list", "set", "group", "relation", "union", "matrix") or not any(n.op in ("pm", "mp") for n in walk(node)):
        return node
    return Node("list", (_signed(node, 1), _signed(node, -1)), "or")


def _signed(node: Node, sign: int) -> Node:
    args = tuple(_signed(arg, sign) for arg in node.args)
    if node.op not in ("pm", "mp"):
        return replace(node, args=args)
    plus = (node.op == "pm") == (sign > 0)
    if len(args) == 1:
        return args[0] if plus else Node("neg", args)
    return Node("add" if plus else "sub", args)


def named(node: Node) -> tuple[str, Node] | None:
    """("x", 3) of x = 3, ("f(x)", …) of f(x) = …; None for anything else."""
    if node.op != "relation" or node.value != ("=",):
        return None
    left, right = node.args
    if left.op == "name":
        name = left.value
    elif left.op == "mul" and left.args[0].op == "name" and left.args[0].value in "fghFGHP":  # f(x), P(2)
        name = f"{left.args[0].value}({skeleton_of(left.args[1])})"
    elif left.op == "subscript" and left.args[0].op == "name":
        name = f"{left.args[0].value}_{left.args[1].value}"
    else:
        return None
    if left.op == "name" and any(n == left for n in walk(right)):
        return None
    return name, right


def as_tuple(node: Node, other: str) -> Node:
    """(x, y) = (1, 2) as (1, 2), also as the first of a list; where the other is a tuple, x = 1, y = 2 too. By alphabet."""
    if node.op == "list" and node.args[0].op == "relation" and all(item.op == "group" for item in node.args[1:]):
        first = as_tuple(node.args[0], other)
        in_order = first.op == "group" and first.args == node.args[0].args[1].args
        return replace(node, args=(first, *node.args[1:])) if in_order else node
    if node.op == "relation" and node.value == ("=",) and {side.op for side in node.args} == {"group"}:
        names, values = (side.args for side in node.args)
        plain = node.args[0].value == node.args[1].value == "()" and all(name.op == "name" for name in names)
    elif node.op == "list" and other == "group" and node.value != "or" and all(map(named, node.args)):
        names, values = (tuple(item.args[i] for item in node.args) for i in (0, 1))
        plain = all(name.op == "name" for name in names)
    else:
        return node
    if not plain or len(names) != len(values) or len({name.value for name in names}) != len(names):
        return node
    order = sorted(range(len(names)), key=lambda i: names[i].value)
    return Node("group", tuple(values[i] for i in order), "()")


def as_set(node: Node) -> Node | None:
    """An inequality in one letter as its interval, x ∈ S as S, inequalities joined by "or" as a union; None for others.

    Two joined by "and" are the interval between them; x ≠ 2 and ℝ ∖ {2} are all numbers but that.
    """
    if node.op == "list" and node.value == "or":
        pieces = [as_set(item) for item in node.args]
        return None if None in pieces else Node("union", tuple(p for p in pieces if p))
    if node.op == "list":
        return between(node)
    if node.op in ("minus", "sub"):
        whole, taken = (alternatives(arg) for arg in node.args)
        everything = node.args[0].op == "constant" and node.args[0].value == "ℝ" or whole == EVERYTHING
        return all_but(taken.args) if everything and taken.op == "set" else None
    if node.op != "relation":
        return None
    sides, operators = node.args, node.value
    if operators == ("∈",):
        return (as_set(sides[1]) or sides[1]) if sides[0].op == "name" else None
    if operators == ("!=",) and sides[0].op == "name":
        return all_but(sides[1:])
    if len(sides) == 2 and sides[1].op == "name":
        sides, operators = sides[::-1], (FLIPPED.get(operators[0], ""),)
    if len(sides) == 2 and sides[0].op == "name" and not letters(sides[1]):
        low, high = (sides[1], INFINITY), (Node("neg", (INFINITY,)), sides[1])
        shape = {">": (low, "()"), ">=": (low, "[)"), "<": (high, "()"), "<=": (high, "(]")}.get(operators[0])
        return Node("group", shape[0], shape[1]) if shape else None
    if len(sides) == 3 and sides[1].op == "name" and not letters(sides[0]) and not letters(sides[2]):
        if set(operators) <= {">", ">="}:
            sides, operators = sides[::-1], tuple(FLIPPED[o] for o in reversed(operators))
        if set(operators) <= {"<", "<="}:
            brackets = ("(" if operators[0] == "<" else "[") + (")" if operators[1] == "<" else "]")
            return Node("group", (sides[0], sides[2]), brackets)
    return None


def between(node: Node) -> Node | None:
    """x ≥ 1 and x < 3 as [1, 3), x ≠ 1 and x ≠ 2 as all numbers but those; None where a list is neither."""
    if not all(item.op == "relation" and len(item.args) == 2 for item in node.args) or len(letters(node)) != 1:
        return None
    if all(item.value == ("!=",) and item.args[0].op == "name" for item in node.args):
        return all_but(tuple(item.args[1] for item in node.args))
    pieces = [as_set(item) for item in node.args]
    if len(pieces) != 2 or not all(piece is not None and piece.op == "group" for piece in pieces):
        return None
    lower = [p for p in pieces if p and p.args[1] == INFINITY]
    upper = [p for p in pieces if p and p.args[0] == Node("neg", (INFINITY,))]
    if len(lower) != 1 or len(upper) != 1 or not _below(lower[0].args[0], upper[0].args[1]):
        return None
    return Node("group", (lower[0].args[0], upper[0].args[1]), f"{lower[0].value[0]}{upper[0].value[1]}")


def all_but(points: tuple[Node, ...]) -> Node | None:
    """All real numbers but these, as a union of intervals; None where they cannot be put in order."""
    if not points or len(points) > MOST_ITEMS or any(letters(point) for point in points):
        return None
    ordered = list(points)
    for i in range(1, len(ordered)):  # by insertion: the order of two is all that can be asked
        while i and _below(ordered[i], ordered[i - 1]):
            ordered[i - 1], ordered[i] = ordered[i], ordered[i - 1]
            i -= 1
    if not all(_below(a, b) for a, b in zip(ordered, ordered[1:])):
        return None
    ends = [Node("neg", (INFINITY,)), *ordered, INFINITY]
    return Node("union", tuple(Node("group", pair, "()") for pair in zip(ends, ends[1:])))


def _below(one: Node, other: Node) -> bool:
    """Whether one number is below another; False for what is no real number."""
    try:
        return bool(arithmetic.evaluate(Node("sub", (other, one)), {}) > 0)
    except (Unknown, TypeError):
        return False


def letters(node: Node) -> set[str]:
    return {n.value for n in walk(node) if n.op == "name"}
