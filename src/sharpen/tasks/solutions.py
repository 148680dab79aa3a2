"""Worked solutions: what a student is shown in warm-up and SFT.

A writer is a plain function (answer, metadata of reasoning-gym) -> text. Working is short and regular, every step can be read
off the page so far, and the final answer stands in `<answer>…</answer>`. Where the answer is the question rearranged, there
is no working and the text is the answer alone.

    chain_sum             7 - 3 + 9            4 13<answer>13</answer>                    running totals
    products              7 * 8 * 2            56 112<answer>112</answer>                 running products
    products              47 * 36              47*30=1410 47*6=282 1692<answer>1692</answer>   one partial product for a digit
    gcd                   60, 48               60%48=12 48%12=0<answer>12</answer>        Euclid
    lcm                   12, 8                12%8=4 8%4=0 12/4=3 3*8=24<answer>24</answer>
    leg_counting          8 bees, 11 wasps     8*6=48 11*6=66 114<answer>114</answer>     total after each but the first
    prime_factorization   12                   2:6 2:3<answer>2 × 2 × 3</answer>          least factor, what is left
    simple_equations      7*x + 3 = 24         24-3=21 21/7=3<answer>3</answer>
    letter_counting       e in "tree at sea"   tree 2 at 2 sea 3<answer>3</answer>        count so far after each word
    base_conversion       base-3 12 to binary  1 5;2r1 1r0 0r1<answer>101</answer>        to decimal; then divide
    count_bits            6                    3,0 1,1 0,2<answer>2</answer>              halve, count of odd numbers so far
    fraction_simplification  8/12              12%8=4 8%4=0 8/4=2 12/4=3<answer>2/3</answer>
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Writer = Callable[[str, Mapping[str, Any]], str]

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# One unknown, at most once on each side of a sum: "7*x + 3 = 24", "-x - 3 = -5", or "15 - 4*x = 3".
UNKNOWN_FIRST = re.compile(r"(-?)(?:(\d+)\*)?[a-z](?:([+-])(\d+))?=(-?\d+)")
UNKNOWN_LAST = re.compile(r"(\d+)-(?:(\d+)\*)?[a-z]=(-?\d+)")


def solve(family: str, answer: str, metadata: Mapping[str, Any]) -> str | None:
    """The worked solution of one problem, or None where nobody wrote how."""
    return WRITERS[family](answer, metadata) if family in WRITERS else None


def worked(steps: Sequence[Any], answer: str, between: str = " ") -> str:
    """Steps, then the answer in its tag; the bare answer where there are no steps."""
    return f"{between.join(map(str, steps))}<answer>{answer}</answer>" if steps else answer


def bare(answer: str, metadata: Mapping[str, Any]) -> str:
    return answer


def chain_sum(answer: str, metadata: Mapping[str, Any]) -> str:
    total, *rest = metadata["expression"].split()
    totals = [int(total)]
    for sign, term in zip(rest[::2], rest[1::2]):
        totals.append(totals[-1] + int(term) if sign == "+" else totals[-1] - int(term))
    return worked(totals[1:], answer)


def products(answer: str, metadata: Mapping[str, Any]) -> str:
    first, *rest = map(int, metadata["expression"].split(" * "))
    steps: list[Any] = []
    for factor in rest:
        if factor > 9:
            steps += [f"{first}*{part}={first * part}" for part in places(factor)]
        first *= factor
        steps.append(first)
    return worked(steps, answer)


def places(number: int) -> list[int]:
    """305 -> [300, 5]: what its digits are worth, without zeros."""
    text = str(number)
    return [int(digit) * 10 ** (len(text) - 1 - i) for i, digit in enumerate(text) if digit != "0"]


def euclid(a: int, b: int) -> tuple[list[str], int]:
    """The steps of Euclid's algorithm, larger number first, and the greatest common divisor."""
    a, b = max(a, b), min(a, b)
    steps = []
    while b:
        steps.append(f"{a}%{b}={a % b}")
        a, b = b, a % b
    return steps, a


def gcd(answer: str, metadata: Mapping[str, Any]) -> str:
    result, *rest = metadata["numbers"]
    steps: list[str] = []
    for number in rest:
        more, result = euclid(result, number)
        steps += more
    return worked(steps, answer)


def lcm(answer: str, metadata: Mapping[str, Any]) -> str:
    result, *rest = metadata["numbers"]
    steps: list[str] = []
    for number in rest:
        more, divisor = euclid(result, number)
        steps += more
        if divisor == min(result, number):  # one divides the other, and the larger is it
            result = max(result, number)
            continue
        part = result // divisor
        steps += [f"{result}/{divisor}={part}"] if divisor > 1 else []
        steps.append(f"{part}*{number}={part * number}")
        result = part * number
    return worked(steps, answer)


def leg_counting(answer: str, metadata: Mapping[str, Any]) -> str:
    from reasoning_gym.arithmetic.leg_counting import ANIMALS

    steps: list[Any] = []
    total = 0
    for i, (animal, count) in enumerate(metadata["animals"].items()):
        legs = count * ANIMALS[animal]
        total += legs
        steps += [f"{count}*{ANIMALS[animal]}={legs}", *([total] if i else [])]
    return worked(steps, answer)


def prime_factorization(answer: str, metadata: Mapping[str, Any]) -> str:
    steps, rest = [], metadata["number"]
    for factor in metadata["factors"][:-1]:
        rest //= factor
        steps.append(f"{factor}:{rest}")
    return worked(steps or [rest], answer)  # a prime is its own working


def simple_equations(answer: str, metadata: Mapping[str, Any]) -> str:
    equation = metadata["equation"].replace(" ", "")
    if found := UNKNOWN_FIRST.fullmatch(equation):
        minus, factor, sign, constant, right = found.groups()
        times = int(minus + (factor or "1"))
        undo = {"+": "-", "-": "+"}.get(sign, "")
        left = int(right) - int(sign + constant) if sign else int(right)
        steps = [f"{right}{undo}{constant}={left}"] if sign else []
    elif found := UNKNOWN_LAST.fullmatch(equation):
        constant, factor, right = found.groups()
        times, left = int(factor or "1"), int(constant) - int(right)
        steps = [f"{constant}-{right}={left}".replace("--", "+")]
    else:
        raise ValueError(f"an equation of an unknown form: {metadata['equation']}")
    return worked(steps + ([f"{left}/{times}={answer}"] if times != 1 else []), answer)


def letter_counting(answer: str, metadata: Mapping[str, Any]) -> str:
    steps: list[Any] = []
    count = 0
    for word in metadata["span"]:
        count += word.lower().count(metadata["target_letter"])
        steps += [word, count]
    return worked(steps, answer)


def base_conversion(answer: str, metadata: Mapping[str, Any]) -> str:
    value, source, target = (metadata[key] for key in ("decimal_value", "source_base", "target_base"))
    totals = [value] if source == 10 else []
    if source != 10:
        for digit in metadata["source_repr"]:
            totals.append(DIGITS.index(digit) + (totals[-1] * source if totals else 0))
    rests: list[str] = []
    while target != 10 and value:
        value, rest = divmod(value, target)
        rests.append(f"{value}r{DIGITS[rest]}")
    return worked([" ".join(map(str, totals)), *([" ".join(rests)] if rests else [])], answer, ";")


def count_bits(answer: str, metadata: Mapping[str, Any]) -> str:
    steps, rest, count = [], metadata["number"], 0
    while rest:
        count += rest % 2
        rest //= 2
        steps.append(f"{rest},{count}")
    return worked(steps, answer)


def fraction_simplification(answer: str, metadata: Mapping[str, Any]) -> str:
    above, below = metadata["numerator"], metadata["denominator"]
    steps, divisor = euclid(above, below)
    return worked([*steps, f"{above}/{divisor}={above // divisor}", f"{below}/{divisor}={below // divisor}"], answer)


WRITERS: Mapping[str, Writer] = {
    "base_conversion": base_conversion,
    "caesar_cipher": bare,
    "chain_sum": chain_sum,
    "count_bits": count_bits,
    "fraction_simplification": fraction_simplification,
    "gcd": gcd,
    "lcm": lcm,
    "leg_counting": leg_counting,
    "letter_counting": letter_counting,
    "number_filtering": bare,
    "number_sorting": bare,
    "palindrome_generation": bare,
    "prime_factorization": prime_factorization,
    "products": products,
    "rotate_matrix": bare,
    "simple_equations": simple_equations,
    "spell_backward": bare,
    "word_sequence_reversal": bare,
}
