"""A mathematical answer in pieces: numbers, letters, symbols and commands. `expressions` puts them together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

LONGEST_NUMBER = 1_000  # digits; Python's own integers refuse more than 4,300
DIGITS = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
NUMBER = re.compile(rf"(?:{DIGITS})(?:[eE][+-]?[0-9]{{1,3}}(?![0-9A-Za-z.]))?")
GROUPED = re.compile(r"[0-9]{1,3}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)(?![0-9]|,[0-9])(?:\.[0-9]+)?")
REPEATING = re.compile(r"([0-9]*)\.([0-9]*)‾([0-9]+)")
SYMBOL = re.compile(r"\\[A-Za-z]+|\\[{}\\|]|<=|>=|!=|[-+*/^_=<>!%°(),;:|\[\]{}&±∓π∞∪∈∅ℝ√]")
WORD = re.compile(r"[A-Za-z]+")


class Unreadable(ValueError):
    """The text is no expression that this module reads."""


@dataclass(frozen=True)
class Token:
    kind: str  # number, word, symbol, end
    text: str
    value: Any = None
    written: str = ""
    spaced: bool = False  # a space stands before it


def is_command(text: str) -> bool:
    return text[:1] == "\\" and text[1:].isalpha()


def tokens(text: str) -> list[Token]:
    """The text in pieces, an end token last. Raises Unreadable.

    Braces that only group, as in ^{2} or \\frac{1}{2}, become "{" and "}", those of a set "\\{" and "\\}".
    """
    found: list[Token] = []
    open_brackets: list[str] = []
    i, spaced, grouped_end = 0, False, False
    while i < len(text):
        if text[i] == " ":
            i, spaced = i + 1, True
            continue
        token, end = _token(text, i, spaced, inside=any(b != "{" for b in open_brackets))
        before = found[-1].text if found else ""
        if token.text == "{" and not (grouped_end or before in ("^", "_") or is_command(before)):
            token = Token("symbol", "\\{", spaced=spaced)
        grouped_end = False
        if token.text in ("(", "[", "{", "\\{"):
            open_brackets.append("\\sqrt[" if token.text == "[" and before == "\\sqrt" else token.text)
        elif token.text in (")", "]", "}", "\\}"):
            if not open_brackets or (open_brackets[-1][-1] in "([") != (token.text in ")]"):
                raise Unreadable(f"{token.text!r} closes nothing")
            opened = open_brackets.pop()
            token = Token("symbol", "\\}", spaced=spaced) if opened == "\\{" else token
            grouped_end = opened in ("{", "\\sqrt[")
        found.append(token)
        i, spaced = end, False
    if open_brackets:
        raise Unreadable(f"{open_brackets[-1]!r} is never closed")
    return [*found, Token("end", "")]


def _token(text: str, i: int, spaced: bool, inside: bool) -> tuple[Token, int]:
    """The token at i, and where it ends."""
    if match := REPEATING.match(text, i):
        whole, fixed, period = match.groups()
        scale = 10 ** _length(len(fixed))
        value = Fraction(int("0" + whole + fixed), scale) + Fraction(int(period), scale * (10 ** _length(len(period)) - 1))
        return Token("number", match[0], value, "decimal", spaced), match.end()
    grouped = GROUPED.match(text, i)
    if grouped and inside and not re.search("[, ]0", grouped[0]):  # (1,234) is a pair, but nobody writes 000 for nought
        grouped = None
    if match := grouped or NUMBER.match(text, i):
        _length(len(match[0]))
        digits = match[0].replace(",", "").replace(" ", "")
        written = "integer" if digits.isdigit() else "decimal"
        return Token("number", match[0], Fraction(digits), written, spaced), match.end()
    for kind, pattern in (("symbol", SYMBOL), ("word", WORD)):
        if match := pattern.match(text, i):
            return Token(kind, match[0], spaced=spaced), match.end()
    raise Unreadable(f"the character {text[i]!r} is not read")


def _length(digits: int) -> int:
    if digits > LONGEST_NUMBER:
        raise Unreadable(f"a number of more than {LONGEST_NUMBER} digits")
    return digits
