"""Whether two mathematical answers are the same, decided by their types: the rules that `maths` documents, on trees."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from sharpen.verify.maths import arithmetic
from sharpen.verify.maths.arithmetic import Purse, Unknown
from sharpen.verify.maths.expressions import Node, skeleton_of, walk
from sharpen.verify.maths.forms import FLIPPED, MOST_ITEMS, alternatives, as_set, as_tuple, letters, named
from sharpen.verify.maths.notation import tidy

LITERAL = ("integer", "decimal", "fraction", "percent")
NUMERALS = (
    "half|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
NUMERALS += "|one|two|three|four|five|six|seven|eight|nine|hundred"
OTHERS = "after|if|when|with|for|given|from|than|number|price|cost|value|amount|many|plus"  # what is asked for instead
BETWEEN = rf"(?: (?!(?:{NUMERALS}|{OTHERS})\b)[a-z'-]+){{0,5}} ?"
SIGN = r"(?:percent\b|per cent\b|percentages?\b|%)"
ASKS_PERCENT = re.compile(
    rf"\b(?:what|which|what's)(?: is| was| are| were)?{BETWEEN}{SIGN}"
    rf"|\b(?:find|calculate|compute|determine|estimate|give|state|report|work out)(?: the| a| an)?{BETWEEN}{SIGN}"
    rf"|\bas an? (?:[a-z]+ ){{0,2}}percent(?:age)?\b|\bby (?:what|how many|how much) {SIGN}|\bhow (?:many|much) percent"
    r"|(?<![0-9] )\b(?:in|to the nearest(?: [a-z]+ of a)?) (?:percent(?:age)?s?\b|%)(?! of)|\(in (?:percent|%)\)|\(%\)"
)


class NotCarriedOut(Exception):
    """An answer with the right value, or any value, that leaves the work undone: 2 + 3 for 5, or the question repeated."""


@dataclass(frozen=True)
class Asked:
    """What the comparison may know of the question.

    text      of the question, "" where unknown
    places    decimal places up to which a number must agree; None: exactly
    purse     what the whole comparison may still cost
    """

    text: str = ""
    places: int | None = None
    purse: Purse = field(default_factory=Purse)

    @cached_property
    def plain(self) -> str:
        return re.sub(r"\\frac ?\{([^{}]*)\} ?\{([^{}]*)\}", r"\1/\2", tidy(self.text)).casefold()

    @cached_property
    def numbers(self) -> frozenset[Fraction]:
        found = re.findall(r"[0-9]+(?:\.[0-9]+)?", self.text.replace(",", ""))
        return frozenset(Fraction(number) for number in found if len(number) < 50)

    @cached_property
    def percent(self) -> bool:
        """Whether the question asks for a percentage, so that the sign may be left out."""
        return asks_percent(self.text)


def asks_percent(question: str) -> bool:
    """Whether a question asks for a percentage; "in 20 percent of the days" does not."""
    return ASKS_PERCENT.search(question.lower()) is not None


def same(given: Node, gold: Node, asked: Asked) -> bool:
    """Raises NotCarriedOut; Unknown where the gold answer has no value; TooCostly."""
    given, gold = alternatives(given), alternatives(gold)
    if gold.op == given.op == "relation" and letters(given) != letters(gold):
        return False
    if (interval := as_set(gold)) is not None:
        gold = interval
    given, gold = as_tuple(given, gold.op), as_tuple(gold, given.op)
    given = unwrap(given, gold)
    if gold.op not in ("relation", "list"):
        given = as_set(given) or given
    if gold.op in ("set", "list"):
        return unordered(given, gold, asked)
    if gold.op == "relation":
        if given.op != "relation" and (pair := named(gold)):
            return same(given, pair[1], asked)
        return given.op == "relation" and same_relation(given, gold, asked)
    if gold.op == "matrix" or given.op == "matrix":
        return same_matrix(given, gold, asked)
    if gold.op in ("group", "ratio", "subscript", "minus"):
        alike = (given.op, given.value, len(given.args)) == (gold.op, gold.value, len(gold.args))
        return alike and all(same(a, b, asked) for a, b in zip(given.args, gold.args))
    if gold.op == "union":
        return given.op == "union" and matched(given.args, gold.args, asked)
    if given.op in ("relation", "set", "list", "group", "ratio", "subscript", "union", "minus"):
        return False
    return same_scalar(given, gold, asked)


def unwrap(given: Node, gold: Node) -> Node:
    """v of "x = v", where the gold answer names nothing; of a chain such as 2 + 3 = 5, the last, if the chain is true."""
    if gold.op == "relation" or given.op != "relation" or set(given.value) != {"="}:
        return given
    if (pair := named(given)) and not any(n.op == "relation" for n in gold.args):
        return pair[1]
    first = 1 if given.args[0].op == "name" else 0
    last = given.args[-1]
    if len(given.args) < first + 2 or any(n.op == "name" for side in given.args[first:] for n in walk(side)):
        return given
    try:
        return last if all(arithmetic.same(side, last) for side in given.args[first:-1]) else given
    except Unknown:
        return given


def same_relation(given: Node, gold: Node, asked: Asked) -> bool:
    """x = 3 only as x = 3; y = 2x + 1 and 2x + 3y = 6 up to a factor; inequalities in several letters side by side."""
    if gold.value != given.value:
        given = Node("relation", given.args[::-1], tuple(FLIPPED.get(o, "") for o in reversed(given.value)))
    if gold.value != given.value or len(gold.args) != len(given.args):
        return False
    ours, theirs = named(given), named(gold)
    if ours and theirs and ours[0] == theirs[0]:
        return same(ours[1], theirs[1], asked)
    if gold.value != ("=",):
        return all(same(a, b, asked) for a, b in zip(given.args, gold.args))
    solved = theirs is not None and not letters(theirs[1])
    if solved or any(side.op in ("group", "set", "list", "matrix", "union") for side in (*gold.args, *given.args)):
        return False
    repeats(given, gold, asked)
    return arithmetic.proportional(Node("sub", given.args), Node("sub", gold.args), asked.purse)


def unordered(given: Node, gold: Node, asked: Asked) -> bool:
    """A set or a bare list: order does not count; how often does in a list. Named unknowns must be named or in order."""
    if given.op not in ("set", "list"):
        return False
    if max(len(given.args), len(gold.args)) > MOST_ITEMS:
        raise arithmetic.TooCostly(f"more than {MOST_ITEMS} items")
    ours, theirs = given.args, gold.args
    names = {pair[0] for pair in map(named, theirs) if pair}
    if len(names) > 1 and not all(map(named, ours)):
        values = [(named(item) or ("", item))[1] for item in theirs]
        return len(ours) == len(values) and all(same(a, b, asked) for a, b in zip(ours, values))
    if len(names) == 1 and not any(map(named, ours)):
        theirs = tuple((named(item) or ("", item))[1] for item in theirs)
    if not names:
        said = [named(item) or ("", item) for item in ours]
        if len({name for name, _ in said if name}) > 1 and len(said) == len(theirs):  # who is which is told, in this order
            return all(same(value, other, asked) for (_, value), other in zip(sorted(said, key=lambda p: p[0]), theirs))
        ours = tuple(value for _, value in said)
    if "set" in (given.op, gold.op):
        ours, theirs = distinct(ours, asked), distinct(theirs, asked)
    return matched(ours, theirs, asked)


def distinct(items: tuple[Node, ...], asked: Asked) -> tuple[Node, ...]:
    kept: list[Node] = []
    for item in items:
        try:
            if not any(same(item, other, asked) for other in kept):
                kept.append(item)
        except (NotCarriedOut, Unknown):
            kept.append(item)
    return tuple(kept)


def matched(ours: tuple[Node, ...], theirs: tuple[Node, ...], asked: Asked) -> bool:
    """Whether each of ours is one of theirs and the other way round."""
    if len(ours) != len(theirs):
        return False
    left = list(theirs)
    for item in ours:
        found = next((i for i, other in enumerate(left) if same(item, other, asked)), None)
        if found is None:
            return False
        left.pop(found)
    return True


def same_matrix(given: Node, gold: Node, asked: Asked) -> bool:
    """Entry by entry. [[1, 2], [3, 4]] is a matrix; a column or a row in one pair of brackets is the tuple of its entries."""
    ours, theirs = rows(given), rows(gold)
    if ours is None or theirs is None:
        return False
    if given.op != gold.op and 1 in (len(ours), len(ours[0])) and 1 in (len(theirs), len(theirs[0])):
        ours, theirs = [[n for row in ours for n in row]], [[n for row in theirs for n in row]]
    shape = [len(row) for row in ours] == [len(row) for row in theirs]
    return shape and all(same(a, b, asked) for row, other in zip(ours, theirs) for a, b in zip(row, other))


def rows(node: Node) -> list[list[Node]] | None:
    if node.op == "matrix":
        return [list(row.args) for row in node.args]
    if node.op != "group" or not node.args or node.value not in ("()", "[]"):
        return None
    if all(row.op == "group" and row.value in ("()", "[]") and row.args for row in node.args):
        return [list(row.args) for row in node.args]
    return [list(node.args)]


def same_scalar(given: Node, gold: Node, asked: Asked) -> bool:
    if given == gold:
        return True
    if any(n.op == "constant" and n.value in "∞ℝ∅" for tree in (given, gold) for n in walk(tree)):
        return False
    if ("percent" in (given.op, gold.op)) and given.op != gold.op:
        if not asked.percent:
            return False
        given, gold = (node.args[0] if node.op == "percent" else node for node in (given, gold))
    if (given.op == "degree") != (gold.op == "degree"):
        given, gold = (node.args[0] if node.op == "degree" else node for node in (given, gold))
    if asked.places is not None and not letters(gold):
        return literal(given) in ("integer", "decimal", "percent") and near(given, gold, asked)
    if not arithmetic.same(given, gold, asked.purse):
        return False
    carried_out(given, gold, asked)
    return True


def near(given: Node, gold: Node, asked: Asked) -> bool:
    """Whether two numbers differ by at most half a unit of the last decimal place asked for."""
    gap = Node("abs", (Node("sub", (given, gold)),))
    allowed = Node("number", value=Fraction(1, 2 * 10 ** (asked.places or 0)))
    return bool(arithmetic.evaluate(Node("sub", (allowed, gap)), {}, asked.purse) >= 0)


def literal(node: Node) -> str:
    """How a number is written: "integer" (7, 7.0, 7e2, 7 × 10^2), "decimal", "fraction" (a/b, mixed), "percent".

    "expression" for anything else.
    """
    if node.op == "neg":
        return literal(node.args[0])
    if node.op == "percent":
        return "percent" if literal(node.args[0]) in LITERAL else "expression"
    if node.op == "number":
        return "integer" if node.value.denominator == 1 else "fraction" if node.written == "mixed" else "decimal"
    if node.op == "div" and all(_whole(arg) for arg in node.args):
        return "fraction"
    power = node.args[-1] if node.op == "mul" else node
    if (
        power.op == "pow"
        and power.args[0].value == 10
        and _whole(power.args[1])
        and (node is power or node.args[0].op in ("number", "neg"))
    ):
        return "decimal" if power.args[1].op == "neg" else "integer"
    return "expression"


def _whole(node: Node) -> bool:
    return _whole(node.args[0]) if node.op == "neg" else node.op == "number" and node.written == "integer"


def carried_out(given: Node, gold: Node, asked: Asked) -> None:
    """Raises NotCarriedOut for an answer that is not worked out as far as the gold answer is.

    1. A sum, difference or product of two rational numbers, where the gold answer has none of that kind.
    2. Where the gold answer is a plain number: a power, root, quotient or the like whose numbers all stand in the question.
    3. Another form of the answer that is written in the question itself: 6/8 to "simplify 6/8".
    """
    if pending(given) - pending(gold):
        raise NotCarriedOut("a sum or product of numbers is not carried out")
    ours, theirs = literal(given), literal(gold)
    if theirs in LITERAL and (ours == "expression" or (ours, theirs) == ("fraction", "integer")):
        numbers = {n.value for n in walk(given) if n.op == "number"}
        if numbers and numbers <= asked.numbers:
            raise NotCarriedOut("the numbers of the question are only repeated")
    repeats(given, gold, asked)


def repeats(given: Node, gold: Node, asked: Asked) -> None:
    """Raises NotCarriedOut where the given form of the answer, unlike the gold one, stands in the question."""
    ours, theirs = literal(given), literal(gold)
    if not asked.text or given == gold or (ours == theirs and ours in ("integer", "decimal", "percent")):
        return
    written = skeleton_of(given)[:200]
    anyhow = r"[\s{}()\[\]*\\＄]*".join(map(re.escape, written))  # whatever brackets, spaces and × stand between
    if len(written) > 1 and re.search(rf"(?<![0-9a-z.^/]){anyhow}(?![0-9a-z^/]|\.[0-9])", asked.plain):
        raise NotCarriedOut("the question is only repeated")


def pending(node: Node) -> set[str]:
    """Which of "sum" and "product" join two rational numbers somewhere in the expression; a × 10^n is one number."""
    found = set()
    for n in walk(node):
        if n.op not in ("add", "sub", "mul") or literal(n) != "expression" or letters(n):
            continue
        kind = "product" if n.op == "mul" else "sum"
        if kind not in found and all(_is_rational(arg) for arg in n.args):
            found.add(kind)
    return found


def _is_rational(node: Node) -> bool:
    """By its operations alone: no letters, constants or functions."""
    return all(
        n.op in ("number", "neg", "add", "sub", "mul", "div", "pow", "fact", "binom", "percent", "abs") for n in walk(node)
    ) and all(_whole(n.args[1]) for n in walk(node) if n.op == "pow")
