"""Units, currencies and the words behind a number: what may be left out of an answer, and what may not.

1. A unit is never converted: 1 m and 100 cm are different answers, because a question names its unit.
2. A unit that only one of the two answers has counts for nothing ($18, 18 dollars, 18), except cents.
3. Two known units that differ make two answers different; nouns that are no units ("18 eggs") make no difference.
4. hundred … trillion and dozen are part of the number; percent becomes %.
5. Words that could change what is meant (or, not, half, squared …) are no unit, and leave the text unreadable.
"""

from __future__ import annotations

import re

CURRENCIES = {"＄": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee"}
SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
SPELLINGS = """
    mm millimetre millimeter; cm centimetre centimeter; m metre meter; km kilometre kilometer; in inch inche; ft foot feet;
    yd yard; mi mile; mg milligram; g gram; kg kilogram kilo; lb pound; oz ounce; t ton tonne; s second sec; min minute;
    h hour hr; day day; week week; month month; year year; l litre liter; ml millilitre milliliter; gal gallon; qt quart;
    pt pint; dollar dollar usd buck; euro euro eur; cent cent; yen yen; rupee rupee; degree degree deg °; rad radian;
    n newton; j joule; w watt; v volt; k kelvin; mi/h mph; km/h kmh kph"""
NAMES = {spelling: words.split()[0] for words in SPELLINGS.split(";") for spelling in words.split()[1:]}
KNOWN = frozenset(NAMES.values()) | frozenset(CURRENCIES.values()) | set("hz khz kw kwh pa kpa mol nm ms".split())
LETTERS = frozenset("msghLlNJWVKCF")  # single letters that may be units; any other is a variable
CHANGES = frozenset(
    "or and not no to through minus plus over less than fewer point squared cubed half halves quarter quarters third "
    "thirds fourth fourths fifth fifths sixth sixths eighth eighths tenth tenths hundredth hundredths thousandth thousandths "
    "pi infinity if unless except but maybe possibly either neither nor factorial mod modulo remainder below base k".split()
)
SHORT = frozenset("of an in on at by my so up".split())
LONGEST = 80

BEFORE = re.compile(r"(?:^|(?<=[\s(,=+-]))(?:US)?([＄€£¥₹]) ?(?=-?[0-9.\\])")
AFTER = re.compile(r"(?<=[0-9}]) ?([＄€£¥₹¢])$")
WORDS = re.compile(r"(?<=[0-9)}\]!%°])( ?[A-Za-zµΩ°][A-Za-zµΩ°'/^0-9{}. -]*)$")
ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
WORD = re.compile(r"[A-Za-zµΩ°'.]+(?:\s?\^\s?\{?-?[0-9]\}?)?|per|/")


def split(text: str, letters: bool = True) -> tuple[str, str, int]:
    """(the text without its unit, the unit's one spelling or "", the factor of a word such as million).

    `text` is as `notation.tidy` leaves it. Where `letters` is false, a single letter is no unit but a variable.
    """
    unit = ""
    symbols = {match[1] for match in BEFORE.finditer(text)}
    if len(symbols) == 1:
        text, unit = BEFORE.sub("", text), CURRENCIES[symbols.pop()]
    elif match := AFTER.search(text[-3:]):
        text, unit = text[: len(text) - len(match[0])], CURRENCIES.get(match[1], "cent")
    match = WORDS.search(text, max(0, len(text) - LONGEST))
    if match is None or ("°" in match[1] and ANGLE.search(text)):  # the degrees of sin 1° are no unit of the answer
        return text, unit, 1
    words = match[1].split()
    core = text[: match.start(1)]
    if words[0].lower() in SCALES:
        scale = SCALES[words[0].lower()]
        rest = "".join(f" {word}" for word in words[1:])
        return (core, _name(rest, True) or unit, scale) if not rest or _name(rest, True) else (text, unit, 1)
    if words[0].lower() in ("percent", "pct") or [w.lower() for w in words[:2]] == ["per", "cent"]:
        rest = "".join(f" {word}" for word in words[2 if words[0].lower() == "per" else 1 :])
        return (core + "%", unit, 1) if not rest or _name(rest, True) else (text, unit, 1)
    name = _name(match[1], letters)
    return (core, name or unit, 1) if name else (text, unit, 1)


def _name(text: str, letters: bool) -> str:
    """The one spelling of a unit or noun, or "" where the words are none."""
    spaced = text[:1] == " "
    text = text.strip()
    parts = WORD.findall(text)
    if not parts or len(parts) > 8 or "".join(parts).replace(" ", "") != text.replace(" ", "").replace("-", ""):
        return ""
    found: list[str] = []
    power = ""
    for part in parts:
        word, _, exponent = part.replace(" ", "").replace("{", "").replace("}", "").partition("^")
        lower = word.strip(".'").lower()
        if lower in ("squared", "cubed") and found and parts.index(part) == len(parts) - 1:
            found[-1] += "^2" if lower == "squared" else "^3"
            continue
        if lower in CHANGES and not (word == "K" and letters):
            return ""
        if lower in ("square", "sq", "cubic", "cu"):
            power = "^2" if lower[0] == "s" else "^3"
            continue
        if len(word) == 1 and word not in "/°" and not (letters and word in LETTERS) and not (lower == "a" and found):
            return ""
        if not found and len(word) > 1 and not spaced and _singular(lower) not in KNOWN or len(word) == 2 and not _short(lower):
            return ""  # 2xy is a product
        found.append("/" if lower in ("per", "/") else _singular(lower) + (f"^{exponent}" if exponent else power))
        power = ""
    return "".join(found).strip("/") if "/" in found else " ".join(found)


def _short(word: str) -> bool:
    """Whether two letters are a unit, or a word inside one such as "miles an hour"."""
    return _singular(word) in KNOWN or word in SHORT


def _singular(word: str) -> str:
    bare = word[:-1] if word.endswith("s") and len(word) > 2 else word
    return NAMES.get(word) or NAMES.get(bare) or bare


def conflict(one: str, other: str) -> bool:
    """Whether both are units, and different ones."""
    return one != other and all(_is_known(unit) for unit in (one, other))


def _is_known(unit: str) -> bool:
    return bool(unit) and all(part.partition("^")[0] in KNOWN for part in unit.split("/"))
