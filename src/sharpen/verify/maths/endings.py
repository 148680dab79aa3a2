"""What the end of a prose without any marker answers, and where a response takes back what it said. Linear time on any input.

The last number of the last line is the answer, with what belongs to it: its sign, a unit that is known (12 miles are no 12 km),
the letters and operators of an expression that it is the end of (2x + 3 is no 3). What a sentence denies, calls wrong, only
bounds or scales is left with that word, and so is no number. What stands behind "not" or "instead of" is dropped where another
number stands before it. Several equations or items side by side are a list of them all: the last is not what was answered.
"""

from __future__ import annotations

import re

from sharpen.verify.maths import units

LONGEST_ENDING = 2_000  # characters from the end of a response in which a last number is looked for

HEADING = re.compile(r"\s{0,3}#{1,6}\s.*[A-Za-z]{3}")
WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
SHORT = re.compile(r"\b(?:so|we|it|is|he|to|of|as|by|at|am|no)\b", re.IGNORECASE)
SPECIAL = frozenset("sqrt sin cos tan log frac cup infty and left right pmatrix bmatrix cases".split())
DOLLARS = re.compile(r"\$\$([^$]{1,500})\$\$|\$([^$\n]{1,500})\$|\\\(([^\n]{1,500}?)\\\)|\\\[([^$]{1,500}?)\\\]")
DIGITS = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3}\b)?"
N = rf"[-+]?(?:[$€£¥]\s?)?[-+]?{DIGITS}(?:\s?(?:%|percent\b))?!?"
JOINED = (  # who lists several gives no single one
    r"(?:,\s(?:and\s)?|\s?(?:[-+*/^×÷·:–]|\bor\b|,? or\b|\band\b|\bto\b|\b(?:out )?of\b|\bper\b)\s?)\(?"
)
NUMBERS = re.compile(rf"(?<![\w.]){N}(?:{JOINED}{N}\)?){{0,20}}")

NAMED = r"\$?[A-Za-z]\s?=\s?[-+]?[^\s,;=$]{1,60}\$?"
EQUATIONS = re.compile(rf"(?<![A-Za-z\\]){NAMED}(?:(?:,\s?(?:and\s|or\s)?|;\s?|\s(?:and|or)\s){NAMED}){{1,20}}\s*$")
ITEM = re.compile(rf"\s{{0,4}}(?:[-*•]|[0-9]{{1,2}}[.)])\s+({N})\s*")
TURNED = re.compile(
    r"(?:\b(?:not|never|neither|nor|half(?: of)?|twice|below|under|over|than|perhaps|maybe|possibly|probably|without|"
    r"except|but|minus|plus|times|divided by|multiplied by|at least|at most|"
    r"(?<!add )(?<!adds )(?<!added )(?<!adding )(?<!sum )(?<!sums )(?<!comes )up to|"
    r"step|section|equation|version|page|question|problem|chapter|example|exercise|figure|line|case|part|log|ln|sqrt|sin|cos|tan)"
    r"|(?:\b(?:not|never|cannot)|n't)(?: (?!so\b|and\b|then\b|because\b|which\b)[a-z']{1,20}){0,2}|n't)\s+$",
    re.IGNORECASE,
)
MINUS = re.compile(r"(?<![0-9])(?:^|[^0-9\s]\s*|[^0-9]\s+)(?:minus|negative)\s+$", re.IGNORECASE)
WRONG = re.compile(
    r"\b(?:(?:is|was|be) (?:wrong|incorrect|a mistake)|first (?:said|thought|guessed|answered))\b", re.IGNORECASE
)
GIVEN_UP = re.compile(  # a line that holds no answer, whatever number is in it
    r"\b(?:(?:i|we) (?:give|gave) up|no idea|unable to (?:solve|answer|determine|find)"
    r"|(?:could|can|do|did|does)(?: not|n['’]t) (?:solve|answer|know|determine|find|tell|figure)"
    r"|cannot (?:solve|answer|determine)"
    r"|cannot be (?:solved|answered|determined|found)|not (?:sure|certain|enough information)|unsure)\b",
    re.IGNORECASE,
)
SCALED = re.compile(
    r"\s?(?:hundred|thousand|million|billion|trillion|dozen|squared|cubed|factorial|(?:and|&) (?:a|an|one) [a-z]+|"
    r"or (?:so|more|less|fewer|thereabouts|maybe)|[,(]? ?(?:perhaps|maybe)"
    r"|(?:is|are|was|were|would be|seems) (?:wrong|incorrect|false|impossible|not\b|too [a-z]+)"
    r"|(?:isn|can|couldn|wasn)['’]t|cannot)\b",
    re.IGNORECASE,
)
LETTERED = re.compile(r"[A-Za-z][A-Za-z0-9]{0,20}(?:\^[0-9]{1,3})?")  # right behind a digit: 2x, 12th, 5km
TERM = r"(?:(?<![A-Za-z0-9\\'])[0-9.]{0,10}[A-Za-z](?:\^\{?[0-9]{1,3}\}?)?|\))"
BEGUN = re.compile(rf"(?:{TERM}\s?(?:[-+*/^<>≤≥≠]|<=|>=|!=)\s?\(?){{1,20}}$")  # an expression that the number ends
UNIT = re.compile(
    r"\s?((?:(?:square|cubic)\s)?(?:[A-Za-zµΩ°¢€]+)(?:\^\{?[23]\}?|[²³])?(?:(?:\sper\s|/)[A-Za-zµ]+)?)(?![A-Za-z0-9(=^])"
)
CALCULATOR = re.compile(r"<<[^<>\n]{1,200}>>")  # of GSM8K's solutions, before the number that it gives
HALF_DAY = re.compile(r" ?(?:[ap]\.m\b\.?|[AP]\. ?M\b\.?|[ap]m\b(?! [A-Za-z])|[AP]M\b)")
FORMULA = re.compile(r"(?:[^\s$]{1,40}\s[-+*/<>]\s)*[^\s$]{1,60}$")
AMOUNTS = re.compile(r"(?:(?<![0-9.,/])[0-9]{1,9}(?:\.[0-9]{1,9})?\s?[A-Za-z]{1,12}(?:,?\sand\s|,\s|\s)){1,3}$")
AMOUNT = re.compile(r"[0-9]\s?([A-Za-z]{1,12})")
ASIDE = re.compile(r"\s\((?=[^()0-9=]*[A-Za-z]{3})[^()]{1,200}\)(?=[.!\s]*$)")
CONTRAST = re.compile(
    r"(?:[,;(–—]\s?(?:and |but )?(?:not|never)|\s(?:instead of|rather than|as opposed to|but not|and not))\s+"
    rf"(?:just |only )?{N}"
    r"(?:\s[A-Za-z]{1,20}){0,3}\)?(?=[.!\s*_$]*$)",
    re.IGNORECASE,
)
TAKEN_BACK = re.compile(  # a sentence that begins like this says that what stands before it is wrong
    r"(?:^|(?<=[.!?\n)}*_$]))\s{0,8}[*_(]{0,3}(?:(?:oh|ah|but)[, ]{1,2})?(?:"
    r"(?:wait|hmm+|hm|oops|actually|sorry|hold on|no|oh|ah)[,.!:;… —–-]{1,6}(?:(?:no|wait|sorry|actually)[,.!:;… —–-]{1,6})?"
    r"(?:(?:that|this|it)(?:(?:['’]s| is| was| seems| must be) (?:all |quite |actually |just |totally |completely )?"
    r"(?:wrong|incorrect|not (?:quite )?(?:right|correct|true)|false|a mistake|an error)"
    r"| (?:is|was)n['’]t (?:quite )?(?:right|correct|true)| can(?:['’]t|not) be (?:right|correct|true))"
    r"|(?:i|we)(?:['’]ve| have| had)? (?:made|make|did) (?:a|an|this|that|some) [a-z ]{0,20}(?:mistake|error|wrong)"
    r"|(?:it|that|this|the (?:correct |right |final )?answer) should(?: have)? be)"
    r"|(?:wait|hmm+|hm|oops|actually|sorry|oh|ah)[,.!:;… —–-]{1,6}no\b(?! (?:one|matter|need|problem|other))"
    r"|(?:scratch|strike) that\b|i (?:made|have made|['’]ve made) (?:a|an) (?:mistake|error)\b)",
    re.IGNORECASE,
)
SAY = r"(?:says?|said|claims?|claimed|thinks?|thought|believes?|believed)"
NOBODY = (
    r"(?:no ?-?one|nobody|none of (?:them|us|you)|hardly any(?:one|body)|no (?:sane |serious |reasonable )?"
    r"(?:person|student|pupil|teacher|child|expert|mathematician))"
)
MODAL = r"(?:would|could|should|might|may|will|can)(?: (?:ever|really|seriously|possibly|still|rightly))?"
SENTENCE_ENDS = (  # or what goes on as one of its own
    r"(?=[;\n]|[.!?](?![0-9])|,? (?:so|but|hence|thus|therefore|because|since|instead|whereas|while)\b"
    r"|, (?:and )?(?:it|the|this|that|there|he|she|they|we|i)\b|$)"
)
DISOWNED = re.compile(  # a sentence with a number that is no answer: denied, called wrong, or what others say
    r"(?:^|(?<=[.!?;\n]))\s{0,8}[*_(]{0,3}(?:(?:and|but|also|now|of course|clearly|surely),? ){0,2}(?:"
    rf"{NOBODY} (?:{MODAL} (?:{SAY}|guess|answer|argue|suggest|accept|expect|arrive at|get)|{SAY})\b"
    rf"|(?:some|others|(?:some|many|most|other) (?:people|students|pupils))(?: {MODAL}| wrongly| mistakenly)? {SAY}\b"
    r"|(?:(?:the|an?|some|other|common|typical|possible|obvious|tempting) ){0,3}(?:wrong|incorrect|false|mistaken|invalid) "
    r"(?:(?:answer|result|value|guess|solution|total|sum)s?|guesses) (?:include|(?:is|(?:would|could|might|may) be)\b)"
    r"|(?:(?:the|an?) )?(?:common|typical|frequent|usual) "
    r"(?:mistakes? (?:is|are|would be|include)|errors? (?:is to|would be))\b"
    r"|it (?:is|was|would be) (?:wrong|incorrect|false|untrue|a mistake|an error|not (?:right|correct|true)) (?:to|that)\b"
    r"|(?:i|we) (?:doubt|deny|do(?: not|n['’]t) (?:think|believe))\b"
    rf")(?:(?!{SENTENCE_ENDS}).){{0,300}}{SENTENCE_ENDS}[.!?]?",
    re.IGNORECASE,
)


def owned(text: str) -> str:
    """A text without the sentences that have a number and disown it: "No one would say 8.", "Wrong answers include 8."."""
    return DISOWNED.sub(lambda match: "" if re.search("[0-9]", match[0]) else match[0], text)


def settled(text: str) -> str:
    """What a response says after the last "Wait, that is wrong." or the like; the whole text without one.

    What follows "it should be" stays.
    """
    places = [match.end() for match in TAKEN_BACK.finditer(text)]
    return text[places[-1] :].lstrip(" .,;:!*_)") if places else text


def is_prose(text: str) -> bool:
    return any(word.lower() not in SPECIAL for word in WORD.findall(text)) or SHORT.search(text) is not None


def last_lines(text: str) -> tuple[str, str]:
    """(what the end of a text without any marker comes to, or "" where it holds no number; the line that says so)."""
    text = CALCULATOR.sub("", text[-LONGEST_ENDING:])
    ending = "\n".join(line for line in text.split("\n") if not HEADING.match(line))
    lines = [line for line in ending.split("\n") if line.strip(" \t*_`$.")]
    if not lines:
        return "", ""
    if items := last_items(lines):
        return items, items
    return last_expression(lines[-1], ending), lines[-1]


def last_items(lines: list[str]) -> str:
    """The numbers of the two or more items at the end of which each is a number alone, with commas; "" where there are none."""
    items: list[str] = []
    for line in reversed(lines):
        if (item := ITEM.fullmatch(line)) is None:
            break
        items.insert(0, item[1])
    return ", ".join(items) if len(items) > 1 else ""


def equations(text: str) -> str:
    """Two or more equations of names at the end of a text, as in "x = 1 and x = 2", without dollars; "" without any."""
    several = EQUATIONS.search(text.rstrip(" .!*_"))
    return several[0].replace("$", "").strip() if several else ""


def last_expression(line: str, ending: str) -> str:
    """What the last line comes to, or where it holds no number the last one before it; "" where there is none."""
    if several := equations(line[-LONGEST_ENDING:]):
        return several
    formulas = list(DOLLARS.finditer(line))
    if formulas and not NUMBERS.search(line[formulas[-1].end() :]) and not CONTRAST.search(line):
        content = next(filter(None, formulas[-1].groups()))
        return content.rpartition("=")[2].strip() or content
    after = line.rpartition("=")[2].strip() if "=" in line else ""
    if after and not is_prose(after):
        return after
    said = after or line
    for dropped in (ASIDE, CONTRAST):
        shorter = dropped.sub("", said)
        said = shorter if NUMBERS.search(shorter) else said
    numbers = list(NUMBERS.finditer(said))
    if not numbers:
        said, numbers = ending, list(NUMBERS.finditer(ending))
    return whole_number(said, numbers[-1]) if numbers else ""


def whole_number(said: str, number: re.Match[str]) -> str:
    """The last number of a text with what belongs to it, or with the word that leaves it unclear."""
    before = said[max(0, number.start() - 60) : number.start()]
    sentence = re.split(r"(?:[.!?]\s|\n)", said[: number.start()])[-1]
    rest = re.split(r"(?<=[.!?])\s|\n", said[number.end() : number.end() + 100])[0]
    line = said[: number.end()].rpartition("\n")[2] + rest
    if rest.endswith("?") or WRONG.search(f"{sentence}{number[0]}{rest}") or GIVEN_UP.search(line):
        return f"{sentence}{number[0]}{rest}"
    if formula := formula_around(said, number):
        return formula
    if begun := BEGUN.search(before):
        before = begun[0]
    elif MINUS.search(before):
        before = "-"
    else:
        turned = TURNED.search(before[-40:])
        before = turned[0] if turned else ""
    behind = LETTERED.match(said, number.end()) if number[0][-1:].isdigit() else None
    if behind is None:
        behind = SCALED.match(said, number.end()) or HALF_DAY.match(said, number.end()) or unit_behind(said, number.end())
        if behind and behind.re is UNIT and (amounts := AMOUNTS.search(said[max(0, number.start() - 60) : number.start()])):
            before = amounts[0] if all(units.known(unit) for unit in AMOUNT.findall(amounts[0])) else before
    return f"{before}{number[0]}{behind[0] if behind else ''}".strip()


def formula_around(said: str, number: re.Match[str]) -> str:
    """The bare LaTeX, or the π or √, that a number is a part of, as in "the side is 2\\sqrt{3}."; "" where there is none."""
    match = FORMULA.search(said, max(0, number.start() - 60), number.start())
    start = match.start() if match else number.start()
    end, depth = number.end(), said.count("{", start, number.end()) - said.count("}", start, number.end())
    while end < len(said) and end < start + 300 and (depth > 0 or said[end] not in " \t\n$"):
        depth += (said[end] == "{") - (said[end] == "}")
        end += 1
    found = said[start:end].strip("*_`(,;:. !")
    return found if re.search(r"\\[A-Za-z]|[π√]", found) and not re.match(r"\\[$(\[]", found) else ""


def unit_behind(said: str, end: int) -> re.Match[str] | None:
    """A unit that is known, right behind a number; a single letter only where no word follows it."""
    match = UNIT.match(said, end)
    if match is None or match[1].casefold() in ("in", "at", "a", "am", "pm") or not units.known(match[1]):
        return None
    alone = len(re.sub(r"[\W\d]", "", match[1])) > 1 or re.match(
        r"[\s.!,;*_)]*(?:$|\n|(?:long|wide|high|tall|deep|of|per)\b)", said[match.end() :]
    )
    return match if alone else None
