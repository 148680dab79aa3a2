"""What an expression is worth: exactly where it is rational, else to 400 digits. Hard limits instead of long waits.

1. Sums, products, powers, roots and factorials of rationals stay rationals (`Fraction`) wherever they are rational.
2. Everything else is a number of 400 digits. Two of those are the same if 300 digits agree, which closed forms of the size
   read here do only when they are equal. So that nothing tiny hides below, a value outside 1e-100 … 1e100 raises `Unknown`.
3. Expressions with letters are the same if they agree at rational points fixed by a hash (Schwartz-Zippel), negative ones too,
   so sqrt(x^2) is not x. Points where the second is undefined or, without i in it, not real are passed over.
4. Every operation has a price by the size of its numbers, and an expression over the budget raises `TooCostly`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import mpmath

from sharpen.hashing import derive
from sharpen.verify.maths.expressions import Node, Unreadable, parse, walk
from sharpen.verify.maths.notation import tidy

PRECISION, AGREE, LARGEST = 400, 300, 100  # decimal digits, digits that must agree, decimal exponent
MOST_BITS = 100_000  # of an exact number; 5,000! has 54,000
BUDGET = 100_000  # 64-bit words handled
POINTS = 6

real = mpmath.MPContext()
real.dps = PRECISION


class Unknown(ArithmeticError):
    """No value: undefined, not a number, or outside the range in which values can be told apart."""


class TooCostly(ArithmeticError):
    """The value would take too long to work out."""


class Purse:
    """What is left of the budget."""

    def __init__(self) -> None:
        self.left = BUDGET

    def pay(self, words: float) -> None:
        self.left -= int(words) + 1
        if self.left < 0:
            raise TooCostly("the expression takes too long to work out")


def same(one: Node, other: Node, purse: Purse | None = None) -> bool:
    """Whether two scalar expressions have the same value, whatever the letters in them stand for. `purse` limits several calls.

    Raises Unknown where `other` has no value that can be compared, TooCostly where either takes too long.
    """
    letters = sorted({n.value for tree in (one, other) for n in walk(tree) if n.op == "name"})
    compared, purse = 0, purse or Purse()
    for index in range(POINTS if letters else 1):
        values = {letter: _point(letter, index) for letter in letters}
        try:
            theirs = evaluate(other, values, purse)
        except Unknown:
            continue
        if letters and not _is_real(theirs) and not any(n.value == "i" for n in walk(other)):
            continue
        try:
            if not close(evaluate(one, values, purse), theirs):
                return False
        except Unknown:
            return False
        compared += 1
    if not compared:
        raise Unknown("it has no value")
    return True


def proportional(one: Node, other: Node, purse: Purse) -> bool:
    """Whether one is the other times a constant other than 0: when "one = 0" and "other = 0" are the same equation."""
    letters = sorted({n.value for n in walk(other) if n.op == "name"})
    if letters != sorted({n.value for n in walk(one) if n.op == "name"}):
        return False
    ratios: list[Any] = []
    for index in range(POINTS):
        values = {letter: _point(letter, index) for letter in letters}
        try:
            below = evaluate(other, values, purse)
            above = evaluate(one, values, purse)
            ratios += [_divide(above, below, purse)] if below != 0 else []
        except Unknown:
            continue
    return len(ratios) > 1 and ratios[0] != 0 and all(close(ratio, ratios[0]) for ratio in ratios)


def close(one: Any, other: Any) -> bool:
    """Equal: exactly for two rationals, to 300 digits otherwise."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    a, b = _inexact(one), _inexact(other)
    return bool(abs(a - b) <= real.mpf(10) ** -AGREE * max(abs(a), abs(b)))


def evaluate(node: Node, values: Mapping[str, Fraction], purse: Purse | None = None) -> Any:
    """A Fraction, or a real or complex number of 400 digits. Raises Unknown, TooCostly."""
    purse = purse or Purse()
    if node.op == "number":
        return node.value
    if node.op == "name":
        return values[node.value]
    if node.op == "constant":
        return _constant(node.value)
    if node.op not in OPERATIONS:
        raise Unknown(f"a {node.op} has no value")
    args = [evaluate(arg, values, purse) for arg in node.args]
    purse.pay(sum(map(_words, args)))
    try:
        result = OPERATIONS[node.op](*args, purse) if node.op != "call" else _call(node.value, args, purse)
    except (ZeroDivisionError, OverflowError, ValueError, mpmath.libmp.ComplexResult) as e:
        raise Unknown(str(e)) from e
    if isinstance(result, Fraction):
        if max(result.numerator.bit_length(), result.denominator.bit_length()) > MOST_BITS:
            raise TooCostly("a number of too many digits")
        return result
    return _ranged(result)


def _point(letter: str, index: int) -> Fraction:
    """The rational at which a letter is tried: of size about 1, a third of them negative."""
    seed = derive(0, "a letter's value", letter, index)
    value = Fraction(1000 + seed % 9001, 1000 + seed // 9001 % 9001)
    return -value if index % 3 == 2 else value


def _is_real(value: Any) -> bool:
    return isinstance(value, Fraction) or not isinstance(value, real.mpc) or value.imag == 0


def _words(value: Any) -> float:
    if isinstance(value, Fraction):
        return (value.numerator.bit_length() + value.denominator.bit_length()) / 64
    return 50.0


def _inexact(value: Any) -> Any:
    if not isinstance(value, Fraction):
        return value
    return _ranged(real.mpf(value.numerator) / value.denominator) if value else real.mpf(0)


def _ranged(value: Any) -> Any:
    """The value. Raises Unknown where it is too large or too small to be compared."""
    size = abs(value)
    if not real.isfinite(size):
        raise Unknown("infinite")
    if not -LARGEST <= real.mag(size) * 0.30103 <= LARGEST:
        raise Unknown(f"outside 1e-{LARGEST} to 1e{LARGEST}")
    if isinstance(value, real.mpc) and abs(value.imag) < size * real.mpf(10) ** -AGREE:
        return value.real
    return value


def _or_nought(value: Any, scale: Any = 1) -> Any:
    """0 for what is 0 to 300 digits of the scale. Only for operations that cannot make anything small of what is in range."""
    return Fraction(0) if abs(value) <= real.mpf(10) ** -AGREE * scale else value


def _constant(name: str) -> Any:
    if name in "πei":
        return {"π": +real.pi, "e": +real.e, "i": real.mpc(0, 1)}[name]
    raise Unknown(f"{name} is no number")


def _add(a: Any, b: Any, purse: Purse) -> Any:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a + b
    a, b = _inexact(a), _inexact(b)
    return _or_nought(a + b, max(abs(a), abs(b)))


def _multiply(a: Any, b: Any, purse: Purse) -> Any:
    if a == 0 or b == 0:
        return Fraction(0)
    return a * b if isinstance(a, Fraction) and isinstance(b, Fraction) else _inexact(a) * _inexact(b)


def _divide(a: Any, b: Any, purse: Purse) -> Any:
    if b == 0:
        raise Unknown("division by zero")
    return a / b if isinstance(a, Fraction) and isinstance(b, Fraction) else _inexact(a) / _inexact(b)


def _power(a: Any, b: Any, purse: Purse) -> Any:
    if isinstance(b, Fraction) and isinstance(a, Fraction):
        if a == 0 and b <= 0:
            raise Unknown("0 to a power that is not positive")
        if a in (0, 1):
            return a
        if b.denominator == 1:
            if max(a.numerator.bit_length(), a.denominator.bit_length()) * abs(b) > MOST_BITS:
                raise TooCostly("a power of too many digits")
            purse.pay(_words(a) * float(abs(b)))
            return a ** int(b)
        exact = _exact_root(abs(a), b.denominator) if a > 0 else None
        if exact is not None and abs(b.numerator) <= MOST_BITS:
            return _power(exact, Fraction(b.numerator), purse)
    if a == 0:
        raise Unknown("0 to an inexact power")
    purse.pay(500)
    base, exponent = _inexact(a), _inexact(b)
    if abs(exponent) > 10_000:
        raise Unknown("a power too large to be compared")
    return base**exponent


def _exact_root(a: Fraction, degree: int) -> Fraction | None:
    """The rational root of a positive rational, or None."""
    parts = [_integer_root(n, degree) for n in (a.numerator, a.denominator)]
    return None if None in parts else Fraction(parts[0] or 0, parts[1] or 1)


def _integer_root(n: int, degree: int) -> int | None:
    if degree > n.bit_length():
        return 1 if n == 1 else None
    root = math.isqrt(n) if degree == 2 else round(math.exp(math.log(n) / degree)) if n.bit_length() < 1000 else 0
    return root if root**degree == n else None


def _root(a: Any, degree: Any, purse: Purse) -> Any:
    """The real root where there is one: the cube root of -8 is -2."""
    if not isinstance(degree, Fraction) or degree.denominator != 1 or degree < 1:
        raise Unknown("a root whose degree is not a positive whole number")
    if a == 0:
        return a
    if _is_real(a) and a < 0 and degree % 2:
        return -_root(-a, degree, purse)
    return _power(a, 1 / degree, purse)


def _factorial(n: Any, purse: Purse) -> Any:
    if not isinstance(n, Fraction) or n.denominator != 1 or n < 0:
        raise Unknown("a factorial of what is no natural number")
    if n > 5000:
        raise TooCostly("a factorial above 5000!")
    purse.pay(float(n) / 5)
    return Fraction(math.factorial(int(n)))


def _binomial(n: Any, k: Any, purse: Purse) -> Any:
    if not all(isinstance(x, Fraction) and x.denominator == 1 and x >= 0 for x in (n, k)):
        raise Unknown("a binomial coefficient of what are no natural numbers")
    if n > 5000:
        raise TooCostly("a binomial coefficient above 5000")
    purse.pay(float(n))
    return Fraction(math.comb(int(n), int(k)))


def _absolute(a: Any, purse: Purse) -> Any:
    return abs(a)


def _rounded(name: str, a: Any) -> Any:
    if isinstance(a, Fraction):
        return Fraction(math.floor(a) if name == "floor" else math.ceil(a))
    nearest = real.nint(a) if _is_real(a) else None
    if nearest is None or abs(a - nearest) < real.mpf(10) ** -AGREE:
        raise Unknown(f"the {name} of what is no real number, or too near to a whole one")
    return Fraction(int(real.floor(a) if name == "floor" else real.ceil(a)))


def _call(name: str, args: list[Any], purse: Purse) -> Any:
    a = args[0]
    if name in ("sqrt", "cbrt"):
        return _root(a, Fraction(2 if name == "sqrt" else 3), purse)
    if name == "abs":
        return abs(a)
    if name in ("floor", "ceil"):
        return _rounded(name, a)
    purse.pay(500)
    if name in ("log", "ln"):
        base = args[1] if len(args) > 1 else Fraction(10) if name == "log" else None
        return _logarithm(a, base)
    x = _inexact(a)
    if name in ("asin", "acos", "atan"):
        name = "arc" + name[1:]
    if name in ("sin", "cos", "tan", "cot", "sec", "csc") and abs(x) > 1e6:
        raise Unknown("an angle too large")
    return CALLS[name](x) if name == "exp" else _or_nought(CALLS[name](x))


def _logarithm(a: Any, base: Any) -> Any:
    """Exact where the argument is a whole power of the base."""
    if a == 0 or base in (0, 1):
        raise Unknown("a logarithm that does not exist")
    if base is None:
        return _or_nought(real.log(_inexact(a)))
    quotient = real.log(_inexact(a)) / real.log(_inexact(base))
    if isinstance(a, Fraction) and isinstance(base, Fraction) and _is_real(quotient) and abs(quotient) < 1000:
        whole = int(real.nint(quotient))
        if base**whole == a:
            return Fraction(whole)
    return _or_nought(quotient)


OPERATIONS: dict[str, Any] = {
    "neg": lambda a, purse: -a,
    "add": _add,
    "sub": lambda a, b, purse: _add(a, -b, purse),
    "mul": _multiply,
    "div": _divide,
    "pow": _power,
    "root": _root,
    "fact": _factorial,
    "binom": _binomial,
    "abs": _absolute,
    "percent": lambda a, purse: _divide(a, Fraction(100), purse),
    "degree": lambda a, purse: _multiply(a, real.pi / 180, purse),
    "call": _call,
}
CALLS = {
    "exp": real.exp,
    **{name: getattr(real, name) for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")},
    **{f"arc{name}": getattr(real, f"a{name}") for name in ("sin", "cos", "tan")},
}


def calculate(text: str) -> str | None:
    """The value of an expression without letters, exact where it is rational (391, 3/4), else to twelve digits.

    None where it is none, has no value, or costs too much.
    """
    try:
        value = evaluate(parse(tidy(text)), {})
    except (Unreadable, Unknown, TooCostly):
        return None
    return str(value) if isinstance(value, Fraction) else str(real.nstr(value, 12))
