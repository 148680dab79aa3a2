"""Reads a mathematical answer into a tree: recursive descent with hard limits. Text is data; nothing is evaluated here.

    answer    := relation ((","|";"|"and"|"or") relation)*        a bare list
    relation  := union (("="|"<"|"<="|">"|">="|"!="|"∈") union)*
    union     := sum (("∪"|"∖") sum)*
    sum       := product (("+"|"-"|"±"|"∓") product)*
    product   := power (("*"|"/"|nothing) power)*
    power     := sign? atom postfix* ("^" power)?
    atom      := number | mixed number | letter | constant | function | fraction | bracket | matrix | |sum|

What differs from TeX: digits after ^ are one number (2^10), and a number of one to three digits, a comma and groups of three
digits is one number, except inside brackets, where a comma always separates. 1/2x is (1/2)x. Every letter is a variable, e and
i are constants. Mixed numbers are whole number, fraction below one: 2 1/3, 2\\frac{1}{3}; but 2\\frac{4}{3} is a product.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sharpen.verify.maths.notation import FUNCTIONS
from sharpen.verify.maths.tokens import Token, Unreadable, is_command, tokens

LONGEST = 2_000  # characters of an expression
DEEPEST = 40  # brackets, signs and functions inside one another
TALLEST = 150  # levels of a tree; a sum of n terms has n

RELATIONS = ("=", "<", "<=", ">", ">=", "!=", "∈")
STOPS = ("\\end", "\\rfloor", "\\rceil", "\\setminus")
PROSE = frozenset(
    "an and are as at be but by cm day for he if in is it km mm no not of one or per she six so ten the to two we you".split()
)
MATRICES = ("matrix", "pmatrix", "bmatrix", "Bmatrix", "array", "smallmatrix")


@dataclass(frozen=True)
class Node:
    """One node of a tree.

    op       number (value: Fraction), name (value: letter), constant (value: π, e, i, ∞, ℝ, ∅), neg, add, sub, mul, div, pow,
             pm and mp (± and ∓, one or two args), fact, percent, degree, subscript, call (value: function), root, binom, abs,
             group (value: its brackets, such as "(]"), set, list (value: "or" or "and" where that joins it), ratio, matrix
             (args: rows, which are lists), union, minus (of sets), relation (value: its operators)
    written  of a number: "integer", "decimal" or "mixed"
    """

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None
    written: str = ""


def parse(text: str) -> Node:
    """The tree of a text that `notation.tidy` has spelled. Raises Unreadable."""
    if len(text) > LONGEST:
        raise Unreadable(f"longer than {LONGEST} characters")
    reader = Reader(tokens(text))
    node = reader.answer()
    if reader.peek.kind != "end":
        raise Unreadable(f"{reader.peek.text!r} is not expected")
    level = [node]
    for _ in range(TALLEST):
        level = [child for parent in level for child in parent.args]
    if level:
        raise Unreadable(f"more than {TALLEST} operations on one another")
    return node


class Reader:
    """The position in a list of tokens, and one method for each line of the grammar."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens, self.i, self.bars, self.depth = found, 0, 0, 0

    @property
    def peek(self) -> Token:
        return self.tokens[self.i]

    def take(self, *texts: str) -> Token | None:
        """The next token, taken, if it is one of these."""
        if self.peek.kind != "end" and self.peek.text in texts:
            self.i += 1
            return self.tokens[self.i - 1]
        return None

    def need(self, text: str) -> None:
        if not self.take(text):
            raise Unreadable(f"{text!r} is expected, not {self.peek.text!r}")

    def answer(self) -> Node:
        items, joined = self.items()
        return items[0] if len(items) == 1 else Node("list", items, joined)

    def items(self) -> tuple[tuple[Node, ...], str]:
        """The items, and "or" or "and" where that is all that joins them."""
        found, joints = [self.relation()], set()
        while token := self.take(",", ";", "and", "or"):
            if token.text in ",;":
                token = self.take("and", "or") or token
            joints.add(token.text)
            found.append(self.relation())
        return tuple(found), "or" if joints <= {"or", ","} and "or" in joints else "and" if joints == {"and"} else ""

    def relation(self) -> Node:
        sides, operators = [self.union()], []
        while token := self.take(*RELATIONS):
            operators.append(token.text)
            sides.append(self.union())
        return Node("relation", tuple(sides), tuple(operators)) if operators else sides[0]

    def union(self) -> Node:
        pieces = [self.sum()]
        while token := self.take("∪", "\\setminus"):
            pieces.append(self.sum())
            if token.text != "∪":
                pieces[-2:] = [Node("minus", tuple(pieces[-2:]))]
        return Node("union", tuple(pieces)) if len(pieces) > 1 else pieces[0]

    def sum(self) -> Node:
        node = self.product()
        while token := self.take("+", "-", "±", "∓"):
            op = {"+": "add", "-": "sub", "±": "pm", "∓": "mp"}[token.text]
            node = Node(op, (node, self.product()))
        if self.take(":"):  # a ratio is compared term by term
            rest = self.sum()
            return Node("ratio", (node, *(rest.args if rest.op == "ratio" else (rest,))))
        return node

    def product(self) -> Node:
        node = self.power()
        while True:
            if token := self.take("*", "/"):
                node = Node("mul" if token.text == "*" else "div", (node, self.power()))
            elif self.factor_follows():
                node = Node("mul", (node, self.power()))
            else:
                return node

    def factor_follows(self) -> bool:
        """Whether the next token begins a factor that nothing joins to the one before: 2π, 3(x+1), x\\sqrt{2}."""
        token = self.peek
        if token.kind == "number":
            if self.tokens[self.i - 1].kind == "number":
                raise Unreadable("two numbers beside each other")
            return self.tokens[self.i - 1].text not in ("]", "\\}")
        if token.kind == "word":
            return token.text not in ("and", "or")
        if token.text == "|":
            return not self.bars
        return token.text in ("(", "π", "√") or is_command(token.text) and token.text not in STOPS

    def power(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"more than {DEEPEST} levels")
        node = self.signed()
        self.depth -= 1
        return node

    def signed(self) -> Node:
        for sign, op in (("-", "neg"), ("+", "plus"), ("±", "pm"), ("∓", "mp")):
            if self.take(sign):
                inner = self.power()
                return inner if op == "plus" else Node(op, (inner,))
        node = self.postfix(self.atom())
        if self.take("^"):
            node = self.postfix(Node("pow", (node, self.exponent())))
        return node

    def exponent(self) -> Node:
        return self.braced() if self.peek.text == "{" else self.power()

    def postfix(self, node: Node) -> Node:
        while token := self.take("!", "%", "°", "_"):
            if token.text == "_":
                node = Node("subscript", (node, self.braced() if self.peek.text == "{" else self.atom()))
            else:
                node = Node({"!": "fact", "%": "percent", "°": "degree"}[token.text], (node,))
        return node

    def braced(self) -> Node:
        self.need("{")
        node = self.sum()
        self.need("}")
        return node

    def argument(self) -> Node:
        """What a command takes: braces, or one atom with what belongs to it."""
        return self.braced() if self.peek.text == "{" else self.power()

    def atom(self) -> Node:
        token = self.peek
        self.i += 1
        if token.kind == "number":
            return self.number(token)
        if token.kind == "word":
            return self.word(token.text)
        if token.text in ("π", "∞", "ℝ", "∅"):
            return Node("constant", value=token.text)
        if token.text == "√":
            return Node("call", (self.root_of(),), "sqrt")
        if token.text == "|" and not self.bars:
            self.bars += 1
            inner = self.sum()
            self.bars -= 1
            self.need("|")
            return Node("abs", (inner,))
        if token.text in ("(", "[", "\\{"):
            return self.bracket(token.text)
        if token.text[:1] == "\\":
            return self.command(token.text[1:])
        raise Unreadable(f"{token.text or 'the end'!r} is not expected")

    def number(self, token: Token) -> Node:
        node = Node("number", value=token.value, written=token.written)
        if token.written != "integer":
            return node
        fraction = self.fraction_ahead()
        if fraction is None or not 0 < fraction < 1:
            return node
        self.i += 3 if self.peek.kind == "number" else 7
        return Node("number", value=token.value + fraction, written="mixed")

    def fraction_ahead(self) -> Fraction | None:
        """The fraction of whole numbers that follows: a/b after a space, or \\frac{a}{b}."""
        ahead = self.tokens[self.i : self.i + 7]
        texts = [t.text for t in ahead]
        if len(ahead) > 3 and ahead[0].kind == ahead[2].kind == "number" and texts[1] == "/" and ahead[0].spaced:
            above, below = ahead[0], ahead[2]
        elif texts[:1] == ["\\frac"] and len(ahead) == 7 and [*texts[1:2], *texts[3:5], texts[6]] == ["{", "}", "{", "}"]:
            above, below = ahead[2], ahead[5]
        else:
            return None
        if above.written == below.written == "integer" and below.value:
            return Fraction(above.value, below.value)
        return None

    def word(self, text: str) -> Node:
        """One letter, or up to three that multiply. Longer words are prose, and unreadable."""
        if len(text) > 3 or text.lower() in PROSE:
            raise Unreadable(f"the word {text!r} is not read")
        letters = [Node("constant", value=c) if c in "ei" else Node("name", value=c) for c in text]
        node = letters[0]
        for letter in letters[1:]:
            node = Node("mul", (node, letter))
        if len(letters) > 1 and self.peek.text == "^":  # ab^2 is a times b squared
            self.i += 1
            return Node("mul", (node.args[0], Node("pow", (node.args[1], self.exponent()))))
        return node

    def bracket(self, opening: str) -> Node:
        if closing := self.take(")", "]", "\\}"):
            return Node("set" if opening == "\\{" else "group", (), opening + closing.text)
        items, _ = self.items()
        closing = self.take(")", "]", "\\}")
        if closing is None:
            raise Unreadable(f"{opening!r} is not closed before {self.peek.text!r}")
        if opening == "\\{":
            return Node("set", items)
        if opening + closing.text == "()" and len(items) == 1:
            return items[0]
        return Node("group", items, opening + closing.text)

    def command(self, name: str) -> Node:
        if name == "frac":
            return Node("div", (self.argument(), self.argument()))
        if name == "binom":
            return Node("binom", (self.argument(), self.argument()))
        if name in ("lfloor", "lceil"):
            inner = self.sum()
            self.need("\\rfloor" if name == "lfloor" else "\\rceil")
            return Node("call", (inner,), "floor" if name == "lfloor" else "ceil")
        if name == "begin":
            return self.matrix()
        if name == "sqrt":
            return self.root()
        if name in FUNCTIONS:
            return self.function(name)
        raise Unreadable(f"the command \\{name} is not read")

    def root(self) -> Node:
        if not self.take("["):
            return Node("call", (self.root_of(),), "sqrt")
        index = self.sum()
        self.need("]")
        return Node("root", (self.root_of(), index))

    def root_of(self) -> Node:
        """Braces or one atom: √2^3 is (√2)^3."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"more than {DEEPEST} levels")
        node = self.braced() if self.peek.text == "{" else self.atom()
        self.depth -= 1
        return node

    def function(self, name: str) -> Node:
        """sin x, sin 2x, sin(x), sin^2 x, log_2 8. The argument without brackets is a product up to the next function."""
        base = exponent = None
        if name == "log" and self.take("_"):
            base = self.argument()
        if self.take("^"):
            exponent = self.exponent()
            if exponent.op == "neg":
                raise Unreadable("an inverse function or a reciprocal")
        bracketed = self.peek.text in ("(", "{", "|")
        node = self.argument() if bracketed else self.power()
        while not bracketed and self.factor_follows() and self.peek.text[1:] not in FUNCTIONS and self.peek.text != "(":
            node = Node("mul", (node, self.power()))
        if node.op in ("group", "set", "list", "matrix"):
            raise Unreadable(f"\\{name} of a {node.op}")
        node = Node("call", (node,) if base is None else (node, base), name)
        return node if exponent is None else Node("pow", (node, exponent))

    def matrix(self) -> Node:
        self.need("{")
        kind = self.peek.text
        self.i += 1
        self.need("}")
        if kind not in MATRICES:
            raise Unreadable(f"the environment {kind!r} is not read")
        if kind == "array" and self.take("{", "\\{"):
            while self.take("c", "r", "l", "cc", "rr", "ll", "ccc", "rrr", "lll", "|"):
                pass
            if not self.take("}", "\\}"):
                raise Unreadable("an array's columns")
        rows, row = [], [self.sum()]
        while token := self.take("&", "\\\\"):
            if token.text == "\\\\":
                rows.append(Node("list", tuple(row)))
                row = []
                if self.peek.text == "\\end":
                    break
            row.append(self.sum())
        rows += [Node("list", tuple(row))] if row else []
        for text in ("\\end", "{", kind, "}"):
            self.need(text)
        if len({len(r.args) for r in rows}) != 1:
            raise Unreadable("rows of different lengths")
        return Node("matrix", tuple(rows))


def walk(node: Node) -> list[Node]:
    """The node and everything below it."""
    found, todo = [], [node]
    while todo:
        found.append(todo.pop())
        todo.extend(found[-1].args)
    return found


def skeleton_of(node: Node) -> str:
    """The expression without brackets, spaces and multiplication signs."""
    signs = {"add": "+", "sub": "-", "div": "/", "pow": "^", "mul": "", "fact": "!", "percent": "%", "pm": "±", "degree": "°"}
    parts = [skeleton_of(arg) for arg in node.args]
    if node.op == "number":
        value = node.value
        return (
            str(value.numerator) if value.denominator == 1 else str(float(value)) if node.written == "decimal" else str(value)
        )
    if node.op in ("name", "constant"):
        return str(node.value).casefold()
    if node.op == "neg":
        return "-" + parts[0]
    if node.op == "relation":
        return "".join(p + o for p, o in zip(parts, (*node.value, "")))
    if node.op == "call":
        return f"{node.value}{''.join(reversed(parts))}"
    sign = signs.get(node.op, ",")
    return sign.join(parts) if len(parts) > 1 else (parts[0] if parts else "") + sign
