"""Dates and times of day in any of their usual spellings: 5 March 2020 is March 5th, 2020, and 3:30 p.m. is 15:30."""

from __future__ import annotations

import re

MONTHS = "january february march april may june july august september october november december".split()
MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
DAY, YEAR = r"([0-9]{1,2})(?:st|nd|rd|th)?", r"(?:,? (?:of )?([0-9]{4}))?(?![0-9])"
DATES = re.compile(
    rf"\b(?:{MONTH} (?:the )?{DAY}(?![0-9:]){YEAR}|(?:the )?{DAY} (?:of )?{MONTH}{YEAR}|{MONTH},? ([0-9]{{4}})(?![0-9]))",
    re.IGNORECASE,
)
TIMES = re.compile(r"(?<![0-9:.])([0-9]{1,2})(?::([0-5][0-9]))? ?([ap])\.? ?m\b\.?", re.IGNORECASE)
CLOCK = re.compile(r"([0-9]{1,2}):([0-5][0-9])(?: (?:hours|h))?")

Date = tuple[int | None, int, int | None]  # year, month, day


def date(text: str) -> Date | None:
    """The date that a text is, and nothing else, of which the day or the year may be missing; None for any other text."""
    match = DATES.fullmatch(text.strip(" .,;"))
    return None if match is None else _date(match)


def only_date(sentence: str) -> Date | None:
    """The one date that a sentence names; None where it names none, several, or denies one."""
    found = {_date(match) for match in DATES.finditer(sentence)}
    return (
        found.pop() if len(found) == 1 and not re.search(r"\b(?:not|or|never|before|after)\b|n't\b", sentence.lower()) else None
    )


def _date(match: re.Match[str]) -> Date:
    first, day, year, other_day, other, other_year, alone, its_year = match.groups()
    number = next(i for i, name in enumerate(MONTHS, 1) if name.startswith((first or other or alone).lower()[:3]))
    said = day or other_day
    at = year or other_year or its_year
    return (int(at) if at else None), number, (int(said) if said else None)


def minutes(text: str) -> int | None:
    """The minute of the day that a text with a.m. or p.m. is, and nothing else; of a text without them None."""
    match = TIMES.fullmatch(text.strip(" ,;"))
    if match is None or not 1 <= int(match[1]) <= 12:
        return None
    return (int(match[1]) % 12 + 12 * (match[3].lower() == "p")) * 60 + int(match[2] or 0)


def on_a_clock(text: str) -> int | None:
    """The minute of the day that a text says in any way that leaves no doubt: with a.m. or p.m., or by 24 hours from 13 on."""
    if (said := minutes(text)) is not None:
        return said
    match = CLOCK.fullmatch(text.strip(" .,;"))
    return int(match[1]) * 60 + int(match[2]) if match and 12 < int(match[1]) < 24 else None
