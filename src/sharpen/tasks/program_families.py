"""The families of programs.py: what is asked in words, what it means, and how it is written in Python, in more than one way.

    arithmetic   Read the integers a and b, one on each line. Print the sum of a and the product of b and 3.
    conditions   Read the integers a and b, one on each line. If a is less than 4, print b. Otherwise, print the sum of a and b.
    lists        Read a line of integers. Keep those greater than 3. Square each. Print the largest.
    loops        Read the integer n. For i from 1 to n, where i is divisible by 3, print i times 2.
    strings      Read a word. Reverse it. Remove every e. Print it.

A family is a function (level, random numbers) -> `Problem`. Each program is written by hand for the student: one space of
indentation, short names, no more words than needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

LETTERS = "aeinorst"  # few: to copy any of 26 takes a tiny student longer than to learn what to do with it
WORDS = (
    "tree",
    "moon",
    "apple",
    "river",
    "banana",
    "garden",
    "letter",
    "kitchen",
    "village",
    "sandwich",
    "mountain",
    "breakfast",
)
NAMES = "abc"


@dataclass(frozen=True)
class Problem:
    """One question before it is a task.

    mean      input -> output, or None where the input would be no fair case, such as the largest of no numbers
    feed      random numbers -> an input
    programs  the same solution, written in several ways
    """

    question: str
    mean: Callable[[str], str | None]
    feed: Callable[[Random], str]
    programs: tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """A step: words, what it does to a value, and its code. {x} is the value before it, {p} a number, {c} and {d} letters."""

    words: str
    mean: Callable[..., Any]
    code: str
    also: str = ""  # another way to write it


def joined(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


# Expressions of integers: a name, a number, or (operation, left, right).

OPERATIONS: Mapping[str, tuple[str, Callable[[int, int], int]]] = {
    "+": ("the sum of {} and {}", lambda a, b: a + b),
    "-": ("the difference of {} and {}", lambda a, b: a - b),
    "*": ("the product of {} and {}", lambda a, b: a * b),
    "%": ("the remainder of {} divided by {}", lambda a, b: a % b),
}
Expression = Any


def expression(rng: Random, names: str, size: int) -> Expression:
    """With `size` operations. A remainder is always by a number, which cannot be zero."""
    if size == 0:
        return rng.choice([*names, *names, rng.randint(2, 9)])
    operation = rng.choice("+-*%")
    if operation == "%":
        left = expression(rng, names, size - 1)
        return ("%", left if not isinstance(left, int) else rng.choice(names), rng.randint(2, 9))
    first = rng.randint(0, size - 1)
    left, right = expression(rng, names, first), expression(rng, names, size - 1 - first)
    return (operation, rng.choice(names) if isinstance(left, int) and isinstance(right, int) else left, right)


def spoken(found: Expression) -> str:
    return OPERATIONS[found[0]][0].format(spoken(found[1]), spoken(found[2])) if isinstance(found, tuple) else str(found)


def value(found: Expression, at: Mapping[str, int]) -> int:
    if isinstance(found, tuple):
        return OPERATIONS[found[0]][1](value(found[1], at), value(found[2], at))
    return at[found] if isinstance(found, str) else found


def written(found: Expression, every: bool) -> str:
    """As Python; with `every`, parentheses around every inner operation, else only where they are needed."""
    if not isinstance(found, tuple):
        return str(found)
    operation, left, right = found
    low = operation in "+-"

    def side(part: Expression, is_right: bool) -> str:
        text = written(part, every)
        if not isinstance(part, tuple):
            return text
        same_rank = (part[0] in "+-") == low
        needed = is_right and operation != "+" if same_rank else not low
        return f"({text})" if every or needed else text

    return f"{side(left, False)}{operation}{side(right, True)}"


def reading(names: str) -> tuple[str, str]:
    """(words, code) for reading integers."""
    if len(names) == 1:
        return f"Read the integer {names}.", f"{names}=int(input())\n"
    return f"Read the integers {joined(names)}, one on each line.", "".join(f"{name}=int(input())\n" for name in names)


def numbers_at(text: str, names: str) -> dict[str, int]:
    return dict(zip(names, map(int, text.split())))


def arithmetic(level: int, rng: Random) -> Problem:
    """An expression with as many operations as the level says."""
    names = NAMES[: 2 if level < 3 else 3]
    found = expression(rng, names, level)
    words, code = reading(names)
    return Problem(
        f"{words} Print {spoken(found)}.",
        lambda text: f"{value(found, numbers_at(text, names))}\n",
        lambda draw: "".join(f"{draw.randint(-5, 20)}\n" for _ in names),
        (
            f"{code}print({written(found, False)})",
            f"{code}print({written(found, True)})",
            f"{code}x={written(found, False)}\nprint(x)",
        ),
    )


COMPARISONS: Mapping[str, tuple[str, Callable[[int, int], bool]]] = {
    ">": ("{} is greater than {}", lambda a, b: a > b),
    "<": ("{} is less than {}", lambda a, b: a < b),
    "==": ("{} is equal to {}", lambda a, b: a == b),
    ">=": ("{} is at least {}", lambda a, b: a >= b),
    "<=": ("{} is at most {}", lambda a, b: a <= b),
}
Test = tuple[str, str, Expression]


def comparison(rng: Random, names: str) -> Test:
    left = rng.choice(names)
    others = [name for name in names if name != left]
    return rng.choice(list(COMPARISONS)), left, rng.choice([*others, rng.randint(1, 9), rng.randint(1, 9)])


def distinct(make: Callable[[], Any], count: int) -> list[Any]:
    """So many different ones."""
    found: list[Any] = []
    while len(found) < count:
        new = make()
        found += [new] if new not in found else []
    return found


def holds(tests: Sequence[Test], link: str, at: Mapping[str, int]) -> bool:
    found = [COMPARISONS[sign][1](value(left, at), value(right, at)) for sign, left, right in tests]
    return any(found) if link == "or" else all(found)


def conditions(level: int, rng: Random) -> Problem:
    """1: a condition on one number. 2: on two. 3: three ways to go. 4: three ways, the first condition made of two."""
    names = NAMES[: 1 if level == 1 else 2]
    link = rng.choice(["and", "or"])
    ways = 2 if level < 3 else 3
    found = distinct(lambda: comparison(rng, names), ways if level == 4 else ways - 1)
    branches = [found[:2], found[2:]] if level == 4 else [[test] for test in found]
    results = distinct(lambda: expression(rng, names, rng.randint(0, 1)), ways)
    spoken_tests = [f" {link} ".join(COMPARISONS[s][0].format(a, b) for s, a, b in tests) for tests in branches]
    coded = [f" {link} ".join(f"{a}{s}{b}" for s, a, b in tests) for tests in branches]
    words, code = reading(names)

    def mean(text: str) -> str:
        at = numbers_at(text, names)
        return f"{value(next((r for t, r in zip(branches, results) if holds(t, link, at)), results[-1]), at)}\n"

    said = " Otherwise, ".join(
        [f"if {test}, print {spoken(r)}." for test, r in zip(spoken_tests, results)] + [f"print {spoken(results[-1])}."]
    )
    blocks = [f"{'el' * (i > 0)}if {test}:\n print({written(r, False)})\n" for i, (test, r) in enumerate(zip(coded, results))]
    inline = " else ".join(
        [f"{written(r, False)} if {test}" for test, r in zip(coded, results)] + [written(results[-1], False)]
    )
    numbers = sorted({right for tests in branches for _, _, right in tests if isinstance(right, int)}) or [5]

    def feed(draw: Random) -> str:
        """Half of the numbers lie at or beside one that something is compared with."""
        edges = [number + near for number in numbers for near in (-1, 0, 1)]
        return "".join(f"{draw.choice(edges) if draw.random() < 0.5 else draw.randint(0, 12)}\n" for _ in names)

    blocked = f"{code}{''.join(blocks)}else:\n print({written(results[-1], False)})"
    return Problem(f"{words} I{said[1:]}", mean, feed, (blocked, f"{code}print({inline})"))


LIST_PIECES = (
    Piece("Keep those greater than {p}.", lambda x, p: [v for v in x if v > p], "[v for v in x if v>{p}]"),
    Piece("Keep those less than {p}.", lambda x, p: [v for v in x if v < p], "[v for v in x if v<{p}]"),
    Piece("Keep those divisible by {p}.", lambda x, p: [v for v in x if v % p == 0], "[v for v in x if v%{p}==0]"),
    Piece("Drop those equal to {p}.", lambda x, p: [v for v in x if v != p], "[v for v in x if v!={p}]"),
    Piece("Add {p} to each.", lambda x, p: [v + p for v in x], "[v+{p} for v in x]"),
    Piece("Subtract {p} from each.", lambda x, p: [v - p for v in x], "[v-{p} for v in x]"),
    Piece("Multiply each by {p}.", lambda x, p: [v * p for v in x], "[v*{p} for v in x]"),
    Piece("Square each.", lambda x, p: [v * v for v in x], "[v*v for v in x]", "[v**2 for v in x]"),
    Piece("Sort them.", lambda x, p: sorted(x), "sorted(x)"),
    Piece("Reverse their order.", lambda x, p: x[::-1], "x[::-1]", "list(reversed(x))"),
    Piece("Drop the first {p}.", lambda x, p: x[p:], "x[{p}:]"),
    Piece("Keep the first {p}.", lambda x, p: x[:p], "x[:{p}]"),
)
LIST_ENDS = (
    Piece("Print the largest.", max, "max(x)", "sorted(x)[-1]"),
    Piece("Print the smallest.", min, "min(x)", "sorted(x)[0]"),
    Piece("Print their sum.", sum, "sum(x)"),
    Piece("Print how many there are.", len, "len(x)"),
    Piece("Print the first.", lambda x: x[0], "x[0]"),
    Piece("Print the last.", lambda x: x[-1], "x[-1]"),
    Piece("Print them.", lambda x: " ".join(map(str, x)), "*x"),
)


def lists(level: int, rng: Random) -> Problem:
    """As many steps as the level says, and an end."""
    steps = [(rng.choice(LIST_PIECES), rng.randint(2, 5)) for _ in range(level)]
    end = rng.choice(LIST_ENDS)

    def mean(text: str) -> str | None:
        x = [int(word) for word in text.split()]
        for piece, p in steps:
            x = piece.mean(x, p)
        return f"{end.mean(x)}\n" if x else None

    def program(read: str, other: bool) -> str:
        lines = [f"x={(piece.also if other and piece.also else piece.code).format(p=p)}" for piece, p in steps]
        return "\n".join([f"x={read}", *lines, f"print({end.also if other and end.also else end.code})"])

    return Problem(
        " ".join(["Read a line of integers.", *(piece.words.format(p=p) for piece, p in steps), end.words]),
        mean,
        lambda draw: " ".join(str(draw.randint(-3, 12)) for _ in range(draw.randint(5, 8))) + "\n",
        (program("[int(v) for v in input().split()]", False), program("list(map(int,input().split()))", True)),
    )


LOOP_VALUES = (
    Piece("i", lambda i, p: i, "i"),
    Piece("i plus {p}", lambda i, p: i + p, "i+{p}"),
    Piece("i minus {p}", lambda i, p: i - p, "i-{p}"),
    Piece("i times {p}", lambda i, p: i * p, "i*{p}"),
    Piece("i squared", lambda i, p: i * i, "i*i", "i**2"),
)
LOOP_TESTS = (
    Piece("divisible by {p}", lambda i, p: i % p == 0, "i%{p}==0", "not i%{p}"),
    Piece("not divisible by {p}", lambda i, p: i % p != 0, "i%{p}!=0", "i%{p}>0"),
    Piece("not {p}", lambda i, p: i != p, "i!={p}"),
    Piece("greater than {p}", lambda i, p: i > p, "i>{p}"),
)


def loops(level: int, rng: Random) -> Problem:
    """1: upwards from a number. 2: also downwards, or in steps. 3: only where a test holds. 4: their sum or number."""
    first, step, by, than = rng.randint(0, 4), rng.randint(2, 4), rng.randint(2, 9), rng.randint(2, 5)
    ways = [
        (f"from {first} to n", f"range({first},n+1)", lambda n: range(first, n + 1)),
        (f"from n down to {first}", f"range(n,{first - 1},-1)", lambda n: range(n, first - 1, -1)),
        (f"from {first} to n in steps of {step}", f"range({first},n+1,{step})", lambda n: range(first, n + 1, step)),
    ]
    said, ranged, numbers = ways[0] if level == 1 else rng.choice(ways)
    test = rng.choice(LOOP_TESTS) if level > 2 else None
    end = rng.choice(["sum", "number"]) if level > 3 else ""
    shown = LOOP_VALUES[0] if end == "number" else rng.choice(LOOP_VALUES)

    def mean(text: str) -> str | None:
        found = [shown.mean(i, by) for i in numbers(int(text)) if test is None or test.mean(i, than)]
        printed = [sum(found)] if end == "sum" else [len(found)] if end else found
        return "".join(f"{item}\n" for item in printed) if found else None

    def program(other: bool) -> str:
        term = (shown.also if other and shown.also else shown.code).format(p=by)
        when = (test.also if other and test.also else test.code).format(p=than) if test else ""
        if other:
            listed = f"[{term} for i in {ranged}{f' if {when}' if when else ''}]"
            return f"n=int(input())\nx={listed}\n" + (
                f"print({'sum' if end == 'sum' else 'len'}(x))" if end else "for i in x:\n print(i)"
            )
        do = f"t+={term if end == 'sum' else 1}" if end else f"print({term})"
        body = f" if {when}:\n  {do}" if when else f" {do}"
        return (
            f"n=int(input())\n{'t=0' + chr(10) if end else ''}for i in {ranged}:\n{body}{chr(10) + 'print(t)' if end else ''}"
        )

    where = f", where i is {test.words.format(p=than)}," if test else ","
    asked = f"print {shown.words.format(p=by)}" if not end else f"print the {end} of all {shown.words.format(p=by)}"
    question = f"Read the integer n. For i {said}{where} {asked}."
    return Problem(question, mean, lambda draw: f"{draw.randint(1, 14)}\n", (program(False), program(True)))


STRING_PIECES = (
    Piece("Reverse it.", lambda s, p, c, d: s[::-1], "{x}[::-1]"),
    Piece("Write it in capitals.", lambda s, p, c, d: s.upper(), "{x}.upper()"),
    Piece("Remove every {c}.", lambda s, p, c, d: s.replace(c, ""), "{x}.replace('{c}','')"),
    Piece("Replace every {c} by {d}.", lambda s, p, c, d: s.replace(c, d), "{x}.replace('{c}','{d}')"),
    Piece("Keep its first {p} letters.", lambda s, p, c, d: s[:p], "{x}[:{p}]"),
    Piece("Drop its first {p} letters.", lambda s, p, c, d: s[p:], "{x}[{p}:]"),
    Piece("Keep its last {p} letters.", lambda s, p, c, d: s[-p:], "{x}[-{p}:]"),
    Piece("Drop its last {p} letters.", lambda s, p, c, d: s[:-p], "{x}[:-{p}]"),
    Piece("Repeat it {p} times.", lambda s, p, c, d: s * p, "({x}*{p})"),
    Piece("Put {c} in front.", lambda s, p, c, d: c + s, "('{c}'+{x})"),
    Piece("Put {c} at the end.", lambda s, p, c, d: s + c, "({x}+'{c}')"),
    Piece("Keep every second letter.", lambda s, p, c, d: s[::2], "{x}[::2]"),
    Piece("Sort its letters.", lambda s, p, c, d: "".join(sorted(s)), "''.join(sorted({x}))"),
    Piece("Put {c} between its letters.", lambda s, p, c, d: c.join(s), "'{c}'.join({x})"),
)


def strings(level: int, rng: Random) -> Problem:
    """As many steps as the level says."""
    steps: list[tuple[Piece, int, str, str]] = []
    for _ in range(level):
        c, d = rng.sample(LETTERS, 2)
        steps.append((rng.choice(STRING_PIECES), rng.randint(2, 4), c, d))

    def mean(text: str) -> str | None:
        s = text.strip()
        for piece, p, c, d in steps:
            s = piece.mean(s, p, c, d)
        return f"{s}\n" if s.strip() else None

    nested, lines = "input()", ["s=input()"]
    for piece, p, c, d in steps:
        nested = piece.code.format(x=nested, p=p, c=c, d=d)
        line = piece.code.format(x="s", p=p, c=c, d=d)
        lines.append(f"s={line[1:-1] if line[0] == '(' else line}")
    letters = [letter for _, _, c, d in steps for letter in (c, d)]

    def feed(draw: Random) -> str:
        """A word, into which letters that the question names are mixed."""
        word = list(draw.choice(WORDS))
        for letter in draw.sample(letters, draw.randint(0, 2)):
            word[draw.randrange(len(word))] = letter
        return "".join(word) + "\n"

    question = " ".join(["Read a word.", *(piece.words.format(p=p, c=c, d=d) for piece, p, c, d in steps), "Print it."])
    stepwise = "\n".join([*lines, "print(s)"])
    inner = nested[1:-1] if steps[-1][0].code[0] == "(" else nested
    return Problem(question, mean, feed, (stepwise, f"print({inner})"))


FAMILIES: Mapping[str, Callable[[int, Random], Problem]] = {
    "arithmetic": arithmetic,
    "conditions": conditions,
    "lists": lists,
    "loops": loops,
    "strings": strings,
}
