"""Numbers in words: eight, twenty-three, a hundred and five, two million, a dozen. Only where they are the whole of an answer.

Prose is not searched for them: "one of them", "no one", "second" and "a third" are words more often than they are numbers.
"""

from __future__ import annotations

import re

from sharpen.verify.maths import units

ONES = "one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
VALUES = (
    {"zero": 0, "a": 1} | {word: n for n, word in enumerate((*ONES, *TEENS), 1)} | {w: 10 * n for n, w in enumerate(TENS, 2)}
)
LARGE = {"thousand": 10**3, "million": 10**6}
BELOW_100 = rf"(?:(?:{'|'.join(TENS)})(?:[ -](?:{'|'.join(ONES)}))?|{'|'.join(TEENS)}|{'|'.join(ONES)})"
BELOW_1000 = rf"(?:(?:a|{BELOW_100}) hundred(?: (?:and )?{BELOW_100})?|{BELOW_100})"
MILLIONS, THOUSANDS = (rf"(?:a|{BELOW_1000}) {name}" for name in ("million", "thousand"))
JOINED = r",? (?:and )?"
NUMBER = (
    rf"(?:zero|(?:a|{BELOW_100}) dozen|{MILLIONS}(?:{JOINED}{THOUSANDS})?(?:{JOINED}{BELOW_1000})?"
    rf"|{THOUSANDS}(?:{JOINED}{BELOW_1000})?|{BELOW_1000})"
)
ANSWER = re.compile(rf"(?:(minus|negative) )?({NUMBER})((?: [a-z]+){{0,2}})", re.IGNORECASE)
LONGEST = 120  # characters
EMPHASIS = re.compile(r"[*_`]")
FURTHER = re.compile(rf"\b(?:{'|'.join((*VALUES, *LARGE))}|hundred|dozen|and|or|to|more|less|of|other)\b", re.IGNORECASE)


def numeral(text: str) -> str:
    """An answer in words with a numeral in their place, a unit behind it: "eight apples" as 8 apples; "" for any other."""
    match = ANSWER.fullmatch(EMPHASIS.sub("", text).strip(" \t\n.,!")) if len(text) <= LONGEST else None
    if match is None or FURTHER.search(match[3]):
        return ""
    if match[2].lower() == "one" and match[3] and not units.known(match[3].strip()):  # one thing
        return ""
    return f"{'-' if match[1] else ''}{value(match[2])}{match[3]}"


def value(words: str) -> int:
    """What a number in words is worth, of the form that NUMBER has."""
    total = current = 0
    for word in re.findall("[a-z]+", words.lower()):
        if word in LARGE:
            total, current = total + current * LARGE[word], 0
        elif word in ("hundred", "dozen"):
            current *= 100 if word == "hundred" else 12
        else:
            current += VALUES.get(word, 0)  # "and" adds nothing
    return total + current
