"""Units, currencies and the words behind a number: what may be left out of an answer, and what may not.

1. A unit is never converted: 1 m and 100 cm are different answers, because a question names its unit.
2. A unit that only one of the two answers has counts for nothing ($18, 18 dollars, 18), except cents, and words that reverse
   an answer: a.m. and p.m., east and west, increase and decrease. Those may be left out only where the question says them.
3. Words that each answer has and the other has not make them different: 5 MHz and 5 GHz, 5 km east and 5 km west, 5 acres and
   5 hectares; but 18 eggs and 18 brown eggs are the same. Symbols are told apart by case where that matters (mW, MW).
4. hundred … trillion and dozen are part of the number; percent becomes %.
5. Words that could change what is meant (or, not, half, squared …) are no unit, and leave the text unreadable.
"""

from __future__ import annotations

import re

CURRENCIES = {"＄": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee"}
SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
SPELLINGS = """
    in inch; ft foot feet; yd yard; mi mile; lb pound; oz ounce; t ton tonne; s second sec; min minute; h hour hr; day day;
    week week; month month; year year yr; gal gallon; qt quart; pt pint; dollar dollar usd buck; euro euro eur; cent cent ¢;
    yen yen; rupee rupee; ° degree deg; °C celsius centigrade; °F fahrenheit; rad radian; ha hectare; acre acre; kg kilo;
    µg mcg; am a.m; pm p.m; person people; child children; man men; woman women; counterclockwise anticlockwise
    counter-clockwise; increase rise gain growth; decrease drop fall decline reduction"""
PREFIXES = {"T": "tera", "G": "giga", "M": "mega", "k": "kilo", "h": "hecto", "d": "deci", "c": "centi", "m": "milli"} | {
    "µ": "micro",
    "n": "nano",
    "p": "pico",
}
BASES = {"m": "metre meter", "g": "gram gramme", "s": "second", "A": "ampere amp", "K": "kelvin", "mol": "mole"} | {
    "Hz": "hertz",
    "N": "newton",
    "Pa": "pascal",
    "J": "joule",
    "W": "watt",
    "C": "coulomb",
    "V": "volt",
    "F": "farad",
    "Ω": "ohm",
    "T": "tesla",
    "L": "litre liter",
    "eV": "electronvolt",
    "B": "byte",
    "bit": "bit",
    "bar": "bar",
    "cal": "calorie",
    "Wh": "watt-hour watthour",
    "lm": "lumen",
    "cd": "candela",
    "Wb": "weber",
    "Bq": "becquerel",
    "Sv": "sievert",
    "Gy": "gray",
    "lx": "lux",
}
NAMES = {spelling: words.split()[0] for words in SPELLINGS.split(";") for spelling in words.split()[1:]}
NAMES |= {name: symbol for symbol, names in BASES.items() for name in names.split()}
NAMES |= {
    f"{full}{name}": f"{p}{symbol}" for p, full in PREFIXES.items() for symbol, ns in BASES.items() for name in ns.split()
}
SYMBOLS = {f"{prefix}{symbol}": f"{prefix}{symbol}" for prefix in ("", *PREFIXES) for symbol in BASES}
SYMBOLS |= {
    "l": "L",
    "ml": "mL",
    "cl": "cL",
    "dl": "dL",
    "kb": "kB",
    "KB": "kB",
    "kph": "km h^-1",
    "kmh": "km h^-1",
    "mph": "mi h^-1",
}
SYMBOLS |= {"rpm": "rpm", "mmHg": "mmHg", "dB": "dB", "psi": "psi", "atm": "atm", "ppm": "ppm", "cc": "cm^3", "pm": "pm"}
SYMBOLS |= {"ms": "ms", "°C": "°C", "°F": "°F", "nm": "nm", "am": "am", "kbit": "kbit", "Mb": "Mbit", "Gb": "Gbit"}
SLOPPY = {"hz": "Hz", "khz": "kHz", "mhz": "MHz", "ghz": "GHz", "kw": "kW", "kwh": "kWh", "kpa": "kPa", "pa": "Pa"} | {
    "mb": "MB",
    "gb": "GB",
    "tb": "TB",
    "mwh": "MWh",
    "ev": "eV",
    "db": "dB",
    **{symbol.lower(): symbol for symbol in ("mm", "cm", "km", "mg", "kg", "mL", "g", "m")},
}
KNOWN = frozenset(SYMBOLS.values()) | frozenset(NAMES.values()) | frozenset(CURRENCIES.values()) | {"in", "ft", "yd", "mi"}
LETTERS = frozenset("msghLlNJWVKCFAT")  # single letters that may be units; any other is a variable
CHANGES = frozenset(
    "or and not no to through minus plus over less than fewer point squared cubed half halves quarter quarters third "
    "thirds fourth fourths fifth fifths sixth sixths eighth eighths tenth tenths hundredth hundredths thousandth thousandths "
    "pi infinity if unless except but maybe possibly either neither nor factorial mod modulo remainder below base k".split()
)
SHORT = frozenset("of an in on at by my so up".split())
FILLERS = (SHORT - {"up"}) | frozenset("a the for is unit total altogether exactly all per each".split())
QUALIFIERS = frozenset("nautical fluid metric troy short light imperial board".split())  # a short ton is no ton
LONGEST = 80

# Words of which one says the opposite of another: by what is meant, the forms of each.
OPPOSITES = (
    {"am": r"a\.m\b|am\b", "pm": r"p\.m\b|pm\b"},
    {d: rf"{d}(?:ward|wards|ern)?\b(?!-)" for d in "north south east west".split()}
    | {f"{a}{b}": rf"{a}-?{b}(?:ward|wards|ern)?\b" for a in ("north", "south") for b in ("east", "west")},
    {"increase": r"increas(?:e|es|ed|ing)\b", "decrease": r"decreas(?:e|es|ed|ing)\b"},
    {"profit": r"profits?\b", "loss": r"loss(?:es)?\b"},
    {"surplus": r"surplus\b", "deficit": r"deficit\b"},
    {"clockwise": r"clockwise\b", "counterclockwise": r"(?:counter|anti)-?clockwise\b"},
)
PATTERNS = [[(name, re.compile(rf"(?<![a-z-])(?:{form})")) for name, form in group.items()] for group in OPPOSITES]
HALF_DAY = re.compile(r"[0-9] ?[ap]\.? ?m\b", re.IGNORECASE)
TIME_ASKED = re.compile(
    r"\b(?:what|which|at what) (?:time|hour)\b|\bwhen (?:do|does|did|will|is|are|was|were|should|can|must|would)\b"
    r"|\btime (?:is|was|do|does|did|will|should)\b|o['’]?clock",
    re.IGNORECASE,
)
TIME_NAMED = re.compile(r"[0-9] ?[ap]\.? ?m\b|\b[ap]\.m\b|[0-9]:[0-5][0-9]|\bnoon\b|midnight", re.IGNORECASE)
COUNTED = re.compile(
    r"\bhow (?:many|much|long|far|old|often|fast)\b|\bwhat (?:fraction|percent|percentage|share|number)\b", re.I
)
LAST_QUESTION = re.compile(r"[.!?]\s+(?=[\"'(]?[A-Z])")
TWO_SIDED = 2  # from this one on, a question that names one side asks for it
SYNONYMS = {
    "increase": re.compile(r"\b(?:rise|gain|growth)s?\b"),
    "decrease": re.compile(r"\b(?:drop|fall|decline|reduction)s?\b"),
}

BEFORE = re.compile(r"(?:^|(?<=[\s(,=+-]))(?:US)?([＄€£¥₹]) ?(?=-?[0-9.\\])")
AFTER = re.compile(r"(?<=[0-9}]) ?([＄€£¥₹¢])$")
FRACTION = re.compile(
    r"(?<=[0-9)}\]]) ?\\frac ?\{ ?([A-Za-zµΩ°][^{}]{0,30}(?:\{[0-9]\})?) ?\} ?\{ ?([^{}]{1,30}(?:\{[0-9]\})?) ?\}$"
)
WORDS = re.compile(r"(?<=[0-9)}\]!%°])( ?[A-Za-zµΩ°][A-Za-zµΩ°'/^0-9{}. *-]*)$")
ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
AMOUNT = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?) ?([A-Za-z]{1,20}\.?)")
WORD = re.compile(r"[A-Za-zµΩ°'.]+(?:\s?\^\s?\{?-?[0-9]\}?)?|per|/|\*")


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
    ending = max(0, len(text) - LONGEST)
    if letters and (match := FRACTION.search(text, ending)) and known(f"{match[1]}/{match[2]}"):
        text = f"{text[: match.start()]} {match[1].strip()}/{match[2].strip()}"
    match = WORDS.search(text, ending)
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
        named = _name(rest, True) if rest else ""
        return (core + "%", named or unit, 1) if not rest or named else (text, unit, 1)
    name = _name(match[1], letters)
    return (core, name or unit, 1) if name else (text, unit, 1)


def amounts(text: str) -> tuple[tuple[str, str], ...]:
    """The numbers and units of which a text consists, as in "2 hours and 30 minutes"; () where it is no such thing."""
    parts = re.split(r",? and |, ?| (?=[0-9])", text)
    found = [AMOUNT.fullmatch(part) for part in parts if part]
    return tuple((match[1], spelt(match[2])) for match in found if match) if all(found) and len(found) > 1 else ()


def without_unit(text: str) -> str:
    """A tidy text without its currency or unit; as it is where a word such as million is part of the number."""
    core, _, scale = split(text)
    return core.strip() if scale == 1 else text


def known(text: str) -> bool:
    """Whether a text names nothing but units that are known, such as "km/h" or "square metres"."""
    name = _name(f" {text}", True)
    return bool(name) and all(part.partition("^")[0] in KNOWN for part in name.split())


def _name(text: str, letters: bool) -> str:
    """The one spelling of a unit or noun, such as "km h^-1", or "" where the words are none."""
    spaced = text[:1] == " "
    text = text.strip()
    parts = WORD.findall(text)
    if not parts or len(parts) > 8 or re.sub(r"[ -]", "", "".join(parts)) != re.sub(r"[ -]", "", text):
        return ""
    found: list[tuple[str, int]] = []
    sign, power, qualified = 1, 1, ""
    for number, part in enumerate(parts):
        word, _, exponent = part.replace(" ", "").replace("{", "").replace("}", "").partition("^")
        lower = word.strip(".'").lower()
        if lower in ("squared", "cubed") and found and number == len(parts) - 1:
            found[-1] = (found[-1][0], found[-1][1] * (2 if lower == "squared" else 3))
            continue
        if lower in CHANGES and not (word == "K" and letters):
            return ""
        if lower in ("square", "sq", "cubic", "cu"):
            power = 2 if lower[0] == "s" else 3
            continue
        if lower in QUALIFIERS and number < len(parts) - 1:
            qualified = f"{lower}-"
            continue
        if lower in ("per", "/", "*"):
            sign = sign if lower == "*" else -1
            continue
        if len(word) == 1 and word not in "°Ω" and not (letters and word in LETTERS) and not (lower == "a" and found):
            return ""
        unit = spelt(word)
        if (
            not found
            and len(word) > 1
            and not spaced
            and (unit not in KNOWN and " " not in unit or (not letters and len(word) < 4))
        ):
            return ""  # 2xy is a product
        if len(word) == 2 and unit not in KNOWN and lower not in SHORT:
            return ""
        if lower not in FILLERS or (lower == "in" and len(parts) == 1) or (word == "A" and not found):  # amperes
            found.append((qualified + unit, int(exponent or power) * sign))
        power, qualified = 1, ""
    name = " ".join(unit if count == 1 else f"{unit}^{count}" for unit, count in found)
    return re.sub(r"\b([GMk]?W) h\b", r"\1h", name) or "unit"


def spelt(word: str) -> str:
    """The one spelling of a unit's symbol or name, or of a noun: its singular."""
    bare = word.strip(".'")
    lower = bare.lower()
    if bare in SYMBOLS or lower in SLOPPY:
        return SYMBOLS.get(bare) or SLOPPY[lower]
    return NAMES.get(lower) or NAMES.get(singular(lower)) or singular(lower)


def singular(word: str) -> str:
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    if re.search(r"(?:s|x|z|ch|sh)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 2 else word


def conflict(one: str, other: str) -> bool:
    """Whether two units or nouns say different things: each has a word that the other has not."""
    ours, theirs = ({part for part in name.split() if part.partition("^")[0] != "unit"} for name in (one, other))
    if {"°C", "°F", "°"} >= ours | theirs and "°" in ours | theirs:  # whose degrees is left out
        return False
    return bool(ours - theirs and theirs - ours)


def spoken(unit: str, text: str) -> bool:
    """Whether a text has a word for a part of a unit: metres for m, grams for kg or g."""
    parts = {part.partition("^")[0] for part in unit.split()}
    return any(spelt(word) in parts for word in re.findall(r"[A-Za-z]{3,}", text[:20_000]))


def names_time(text: str) -> bool:
    """Whether a text speaks of a time of day."""
    return TIME_ASKED.search(text) is not None or TIME_NAMED.search(text) is not None


def time_asked(question: str) -> bool:
    """Whether a time of day may answer a question: it asks for one, or speaks of one and counts nothing ("how many hours?")."""
    last = LAST_QUESTION.split(question.strip())[-1]
    if TIME_ASKED.search(last):
        return True
    return COUNTED.search(last) is None and names_time(question)


def reversed_in(text: str, line: str, gold: str, question: str) -> bool:
    """Whether an answer is the opposite of the task's own, or leaves out which of two opposites it is.

    text  the answer; where it has no such word itself, those of the line that it was found in count. Where the task's answer
          has none, the question may: "by what percent did it increase?" is not answered by a decrease. A time of day answers
          no question that is about none.
    """
    if HALF_DAY.search(text) and not names_time(gold) and not time_asked(question):
        return True
    for number, group in enumerate(PATTERNS):
        ours, theirs, asked = (_senses(said, group) for said in (text, gold, question))
        ours = ours or _senses(line, group)
        if theirs and ours != theirs and (ours or asked != theirs):
            return True
        if number >= TWO_SIDED and not theirs and ours and asked and not ours & asked:
            return True
    return False


def _senses(text: str, group: list[tuple[str, re.Pattern[str]]]) -> set[str]:
    lower = text.lower()
    return {name for name, form in group if form.search(lower) or (name in SYNONYMS and SYNONYMS[name].search(lower))}
