"""The verifier `math`: is the final answer of a response mathematically the task's own?

1. `extraction` finds the final answer. 2. `notation`, `units` and `expressions` read it and the task's answer into typed trees.
3. `equality` compares trees of the same type; numbers exactly. 4. Only where the task's own answer is of no type that is read
here is Math-Verify asked (`mathverify`, the extra `math`), in a process that is killed when it overruns. `Verdict.rule` is "how
the answer was found: what decided".

What is the same, and what is not

    numbers      compared exactly: 0.50 = 1/2 = 2/4 = 5e-1, but 0.333 is not 1/3 and 3.14 is not π. `places` 2 in the task's
                 data asks for agreement to 2 decimal places instead. Mixed numbers 2 1/3, repeating decimals 0.\\overline{3},
                 1.2 × 10^3, 1,200, 1{,}200 and 1 200 are read. Digits are ASCII.
    carried out  2 + 3 is no answer where 5 is wanted, nor is a form that repeats the question (`equality.carried_out`).
    percent      10% is the number 10% and not 10 or 0.1. Where the question asks for a percentage the sign may be left out.
    units        may be left out, are never converted, and must not conflict (`units`); nor may words that reverse an answer.
    7/8 ≈ 0.875  is 7/8, or 0.875 where that is asked for, if the one is the other rounded.
    closed forms 2√3 = √12, 1/√2 = √2/2, sin(π/6) = 1/2, 1/2004! ≠ 1/2006!: by value, to 300 digits (`arithmetic`).
    dates        2020-01-02, 1/2/2020, 1914-1918, 555-1234 and 3-2 are as they are written, no difference or quotient.
                 March 5, 2020 is 5 March 2020, and 3:30 p.m. is 15:30 (`dates`).
    words        eight, twenty-three, a hundred and five, a dozen are numbers where they are the whole answer (`words`).
    names        of points, angles and orders (\\angle ABC, \\text{BCA}) by their letters in order, never as products.
    (B) 42       of a contest is the letter, the value, or both; where both are given, both must be right.
    letters      x^2 + 2x + 1 = (x + 1)^2: by value at fixed rational points. The names of letters count.
    x = 3        is 3 where the task's answer is 3; y = 3 is not x = 3. 2x + 4y = 6 is x + 2y = 3: a factor apart.
    (1, 2)       in order; the brackets count: (1, 2), [1, 2], (1, 2] differ. Columns are tuples; so is x = 1, y = 2.
    x > 3        is (3, ∞); x ≥ 1 and x < 3 is [1, 3) or [1, 3[; x ≠ 2 is ℝ ∖ {2}, or its intervals, or {x | x ≠ 2}.
    {1, 2}       in any order, repeats dropped. 1, 2 and "1 or 2" are lists: any order. ±2 is 2 and -2.
    1:2          term by term. Matrices entry by entry. A choice such as (C) by its letter. Words blind to case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sharpen.core import Task, Verdict
from sharpen.verify.maths import dates, equality, mathverify, units, words
from sharpen.verify.maths.arithmetic import TooCostly, Unknown
from sharpen.verify.maths.equality import Asked, NotCarriedOut
from sharpen.verify.maths.expressions import Node, Unreadable, parse, walk
from sharpen.verify.maths.extraction import Found, find, last_box
from sharpen.verify.maths.notation import FUNCTIONS, tidy

VERSION = "5"  # raised whenever a verdict could change: scores of different versions are not comparable
LONGEST_ANSWER = 10_000  # characters that an answer may have beyond the length of the task's own

LETTER = re.compile(r"\(?([A-J])\)?")
SAID = re.compile(r"(?:it|this|that|there|he|she|they)(?:'s| is| was| are| were) (?:(?:an?|the) )?", re.IGNORECASE)
CHOICE = re.compile(r"(?:(?:option|choice|answer) )?(?:\(([A-Ja-j])\)|([A-J])(?![A-Za-z]))[.:)]?(?: .*)?", re.IGNORECASE)
LABELLED = re.compile(r"\( ?([A-J]) ?\)[.:]? ?(\S.*)")
ANOTHER = re.compile(r"\bor\b|\band\b|\([A-Ja-j]\)|[,/&] ?[A-J]\b")
WORDS = re.compile(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ' .,-]*")
IN_TEXT = re.compile(r"\$?\s*\\(?:text|textbf|textrm|textit|mathrm|mathbf|mbox)\s?\{\s*[A-Za-z]{2,}\s*\}\s*\$?")
NAMES = re.compile(r"[A-Z]{2,8}")
GEOMETRY = re.compile(
    r"\\(?:measuredangle|angle|triangle|overline|overrightarrow|overleftrightarrow|vec|widehat|parallel|perp|cong|odot|arc)\b.*[A-Z]"
)
APPROXIMATE = re.compile(r"^(?:≈|approximately|about|roughly|exactly)\s*")
ARTICLE = re.compile(r"^(?:an?|the) (?=[-0-9.＄\\])")
CHANGED = re.compile(
    r"(?:it |there |the [a-z]+ )?(?:is |was |has )?(?:an? )?(increase|decrease)[ds]? (?:of|by) (.+)", re.IGNORECASE
)
EXCEPT = re.compile(
    r"all real (?:numbers|values)(?: of [a-z])?,? (?:except|other than|but)(?: for)? (?:[a-z] ?= ?)?(.+)", re.IGNORECASE
)
BUILDER = re.compile(r"\\?\{ ?([A-Za-z]) ?(?:∈ ?ℝ ?)?[|:] ?(.+?) ?\\?\}")
REALS = re.compile(r"(?:,|and)? ?[A-Za-z] ?∈ ?ℝ ?(?:,|and)?")
PROSE = re.compile(rf"(?<![\\A-Za-z])(?!(?:{'|'.join(FUNCTIONS)})\b)[A-Za-z]{{3,}}")
CONTEST = re.compile(r"(?:\( ?([A-J]) ?\)|([A-J])[.):])[.:]? ?(\S.*)")
SPELT = re.compile(r"(?!abcd?$)(?=.*[aeiou])[a-z]{3,}", re.IGNORECASE)  # a word; "xyz" and "abc" are products
WRITTEN = re.compile(r"[0-9]+(?: ?- ?[0-9]+)+|[0-9]+(?:/[0-9]+){2,}")
MATHS = re.compile(r"[0-9\\^=<>+*/∞π√]")


@dataclass(frozen=True)
class Finding:
    """same: True, False, or None where typed comparison cannot decide. kind: what was compared. feedback: why not."""

    same: bool | None
    kind: str
    feedback: str = "The answer is wrong."
    outcome: str = ""  # of the verdict, where neither correct nor wrong


@dataclass(frozen=True)
class Answer:
    node: Node
    unit: str


def math(task: Task, response: str) -> Verdict:
    """The verifier. Task data: `places`, see above; `accept`, further right answers.

    `unscorable` where the task's own answer cannot be judged by any means.
    """
    found = find(response)
    first, *others = (judged_by(task, str(answer or ""), found) for answer in (task.answer, *task.data.get("accept", ())))
    return next((verdict for verdict in (first, *others) if verdict.correct), first)


def judged_by(task: Task, answer: str, found: Found) -> Verdict:
    """The verdict on a final answer by one right answer."""
    gold, text, how = gold_text(answer), found.text, found.how
    if how in ("none", "last expression") and found.line and not re.search("[0-9]", gold):  # words have no last number
        text, how = found.line.strip(), "last line"
    elif how in ("marker", "last expression") and dates.date(gold) and dates.only_date(found.line):  # nor do dates
        text = found.line.strip()
    elif how == "none" and words.numeral(found.line):
        text, how = found.line.strip(), "last line"
    if not gold:
        return Verdict("unscorable", None, feedback="the task has no answer of its own", rule=f"{how}: none", version=VERSION)
    if not text:
        return Verdict("malformed", 0.0, feedback="There is no answer.", rule=f"{how}: none", version=VERSION)
    if len(text) > LONGEST_ANSWER + len(gold):
        return Verdict("limit", 0.0, feedback="The answer is too long.", rule=f"{how}: length", version=VERSION)
    asked, line = question(task), found.line[:LONGEST_ANSWER]
    finding = compare(text, gold, asked, task.data, line)
    if finding.same is False and how == "marker" and text[-2:-1].isdigit() and text.endswith("!"):  # joy, no factorial
        finding = compare(text[:-1], gold, asked, task.data, line)
    return judged(finding, text, gold, how)


def judged(finding: Finding, text: str, gold: str, how: str) -> Verdict:
    """The verdict on a finding; what types cannot decide is asked of Math-Verify."""
    version = VERSION
    if finding.same is None:
        verdict, said = mathverify.ask(gold, text)
        version = f"{VERSION}, {said}"
        if verdict is None:
            return Verdict("unscorable", None, feedback=said, rule=f"{how}: {finding.kind}", version=VERSION)
        finding = Finding(verdict == "same", "Math-Verify", outcome="" if verdict in ("same", "different") else verdict)
    rule = f"{how}: {finding.kind}"
    if finding.outcome == "unscorable":
        return Verdict("unscorable", None, feedback=finding.feedback, rule=rule, version=version)
    if finding.same:
        return Verdict("correct", 1.0, rule=rule, version=version)
    return Verdict(finding.outcome or "wrong", 0.0, feedback=finding.feedback, rule=rule, version=version)


def gold_text(answer: str) -> str:
    """The task's own answer; of a worked solution, what its box, or what follows ####, says."""
    boxed = last_box(answer)
    return (boxed if boxed is not None else answer.rpartition("####")[2]).strip()


def question(task: Task) -> str:
    """The text of the last message that is not the model's."""
    content = task.prompt[-1].get("content") if task.prompt else ""
    if isinstance(content, str):
        return content[-20_000:]
    return " ".join(str(part.get("text", "")) for part in content or () if isinstance(part, Mapping))[-20_000:]


def compare(text: str, gold: str, asked: str = "", data: Mapping[str, Any] | None = None, line: str = "") -> Finding:
    """Whether two answers are the same by their types, without Math-Verify.

    asked  the question's text
    line   where the answer was found, for words that reverse it
    """
    given, expected = tidy(text), tidy(gold)
    if letter := LETTER.fullmatch(expected):
        return Finding(chosen(given) == letter[1], "choice")
    if labelled := LABELLED.fullmatch(expected):
        return contest(text, given, labelled[1], labelled[2], asked, data)
    if given and given == expected:
        return Finding(True, "same text")
    if (plain := by_text(given, expected, IN_TEXT.fullmatch(gold) is not None)) is not None:
        return plain
    if (labelled := LABELLED.fullmatch(given)) and ("\\text" in text or "\\mathrm" in text or f"({labelled[1]})" in asked):
        given = labelled[2]
    if "\\dots" in expected:
        return sequence(given, expected, asked, data)
    exact, _, rounded = given.partition("≈")
    if exact.strip() and rounded.strip():
        return rounded_off(exact.strip(), rounded.strip(), expected, asked, data)
    return by_type(given, expected, asked, data, line)


def by_text(given: str, expected: str, in_text: bool) -> Finding | None:
    """The finding where the task's answer is words or names, None where it is to be read. `in_text`: one word in \\text{…}."""
    same_words = plain_words(given) == plain_words(expected) or said_words(given, expected) == plain_words(expected)
    if SPELT.fullmatch(expected) and given.isascii() and given.isalpha():
        return Finding(same_words, "words")  # "tea" is no product of three letters that "eat" would be too
    if (day := dates.date(expected)) is not None:
        return Finding((dates.date(given) or dates.only_date(given)) == day, "date")
    if (minute := dates.minutes(expected)) is not None and (told := dates.on_a_clock(given)) is not None:
        return Finding(told == minute, "time of day")
    if (amounts := units.amounts(expected)) and units.amounts(given) == amounts:
        return Finding(True, "amounts")
    if in_text and len(expected) > 1:
        return Finding(same_words, "words")
    if len(expected) > 2 and WORDS.fullmatch(expected) and same_words:
        return Finding(True, "words")
    if GEOMETRY.search(expected):
        shape, wanted = (
            re.sub(r"[\s{}]", "", re.sub(r"\bangle\b", r"\\angle", said)).replace("\\\\", "\\") for said in (given, expected)
        )
        turned = re.fullmatch(r"(m?\\(?:angle|overline))([A-Z]+)", shape)  # the same angle, the same segment
        return Finding(wanted in (shape, f"{turned[1]}{turned[2][::-1]}" if turned else ""), "geometry")
    if WRITTEN.fullmatch(expected):
        return Finding("".join(given.split()) == "".join(expected.split()), "as written")
    if NAMES.fullmatch(expected) and NAMES.fullmatch(given):
        return Finding(given == expected, "names")
    return None


def plain_words(text: str) -> str:
    return " ".join(text.casefold().split())


def said_words(given: str, expected: str) -> str:
    """What a short sentence such as "It is a Monday" says; "no solutions" as "no solution" where the task's answer is that."""
    said = re.sub(SAID, "", given) if not re.match(SAID, expected) else given
    words = plain_words(said)
    return words.removesuffix("s") if expected.casefold().startswith("no ") and not expected.endswith("s") else words


def by_type(given: str, expected: str, asked: str, data: Mapping[str, Any] | None, line: str = "") -> Finding:
    """Whether two tidy answers are the same by their types."""
    theirs = read(expected, letters=False) or read(expected)
    if theirs is None or (WORDS.fullmatch(expected) and len(expected) > 3):
        if WORDS.fullmatch(expected):
            return Finding(" ".join(given.casefold().split()) == " ".join(expected.casefold().split()), "words")
        if PROSE.search(expected):  # Math-Verify would pick out what it knows, and call the rest the same
            return Finding(" ".join(given.casefold().split()) == " ".join(expected.casefold().split()), "words")
        return Finding(None, "no type")
    if (measured := quantity(expected, theirs, f"{asked} {line} {given}")) is not None:
        theirs = measured
    kind = kind_of(theirs.node)
    if not equality.letters(theirs.node):
        given = words.numeral(given) or given
    ours = read(given, letters=not equality.letters(theirs.node))
    if ours is None:
        return Finding(False, kind, f"The answer cannot be read as {kind}.", "malformed")
    if ours.node.op == "set" and theirs.node.op not in SETS and (inner := ungrouped(given)):
        ours = read(inner, letters=not equality.letters(theirs.node)) or ours
    if theirs.node.op == "set" and ours.node.op not in SETS and (inner := ungrouped(expected)):
        theirs = read(inner, letters=False) or theirs
    if ours.unit and not theirs.unit:
        theirs = read(expected) or theirs
    if units.conflict(ours.unit, theirs.unit):
        return Finding(False, kind, "The unit is wrong.")
    if (ours.unit == "cent") != (theirs.unit == "cent") and not re.search(r"\bcents?\b|¢", asked):
        return Finding(False, kind, "The unit is wrong.")
    finding = typed(ours.node, theirs.node, kind, Asked(asked, (data or {}).get("places")))
    if finding.same and units.reversed_in(given, line, expected, asked):
        return Finding(False, kind, "The answer says the opposite, or does not say which.")
    return finding


def quantity(expected: str, theirs: Answer, said: str) -> Answer | None:
    """The task's answer with its letters as a unit, where what is said has a word for it: 5 m is metres, else a product."""
    if not equality.letters(theirs.node) or not re.search(r"[0-9}] +[A-Za-z]", expected):
        return None
    measured = read(expected)
    fit = measured is not None and not equality.letters(measured.node) and units.spoken(measured.unit, said)
    return measured if fit else None


SETS = ("set", "list", "union", "minus")


def ungrouped(text: str) -> str:
    """What stands in plain braces around all of a text, which in LaTeX only group; "" where they are a set's, or not there."""
    if not (text.startswith("{") and text.endswith("}")) or "," in text or ";" in text:
        return ""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if depth == 0 and i < len(text) - 1:
            return ""
    return text[1:-1].strip()


def chosen(given: str) -> str:
    """The letter that an answer chooses, or "" where it chooses none or several."""
    choice = CHOICE.fullmatch(given)
    if choice is None or ANOTHER.search(given[choice.end(1 if choice[1] else 2) :]):
        return ""
    return (choice[1] or choice[2]).upper()


def contest(text: str, given: str, letter: str, value: str, asked: str, data: Mapping[str, Any] | None) -> Finding:
    """Whether an answer is a contest's "(B) 42": by its letter, its value or both, of which none may be another."""
    if LETTER.fullmatch(given):
        return Finding(chosen(given) == letter, "choice")
    labelled = CONTEST.fullmatch(given)
    if labelled and (labelled[1] or labelled[2]) != letter:
        return Finding(False, "choice")
    finding = compare(labelled[3] if labelled else text, value, asked, data)
    return finding if finding.same is not None else Finding("".join(given.split()).endswith("".join(value.split())), "choice")


def sequence(given: str, expected: str, asked: str, data: Mapping[str, Any] | None) -> Finding:
    """A list with an ellipsis in it: item by item, in order."""
    ours, theirs = ([item.strip() for item in re.split(r",(?![^(\[{]*[)\]}])", side)] for side in (given, expected))
    if len(ours) != len(theirs) or len(ours) > equality.MOST_ITEMS:
        return Finding(False, "sequence")
    right = all(a == b or ("\\dots" not in a + b and by_type(a, b, asked, data).same) for a, b in zip(ours, theirs))
    return Finding(right, "sequence")


def rounded_off(exact: str, rounded: str, expected: str, asked: str, data: Mapping[str, Any] | None) -> Finding:
    """An exact value with its approximation behind it: the exact one counts, or the other where it is asked for."""
    finding = by_type(exact, expected, asked, data)
    near, value = read(rounded), read(exact)
    if near is None or value is None or "≈" in rounded:
        return Finding(False, finding.kind, f"The answer cannot be read as {finding.kind}.", "malformed")
    name = equality.named(value.node)
    digits = re.search(r"\.([0-9]+)", rounded)
    places = Asked("", len(digits[1]) if digits else 0)
    if typed(near.node, name[1] if name else value.node, "", places).same is not True:
        return Finding(False, finding.kind, "The approximation is not that of the value before it.", "malformed")
    return finding if finding.same else by_type(rounded, expected, asked, data)


def typed(ours: Node, theirs: Node, kind: str, asked: Asked) -> Finding:
    try:
        return Finding(equality.same(ours, theirs, asked), kind)
    except NotCarriedOut as e:
        return Finding(False, f"{kind}, not carried out", f"The answer is not worked out: {e}.")
    except TooCostly as e:
        return Finding(False, kind, f"The answer is too large: {e}.", "limit")
    except Unknown as e:
        return Finding(False, kind, f"the task's own answer cannot be compared: {e}", "unscorable")


def read(text: str, letters: bool = True) -> Answer | None:
    """A tidy text as a tree and a unit, or None where it cannot be read. `letters`: whether a single letter may be a unit."""
    text = ARTICLE.sub("", APPROXIMATE.sub("", text))
    if changed := CHANGED.fullmatch(text):
        text = f"{changed[2]} {changed[1]}"
    if left_out := EXCEPT.fullmatch(text):
        text = f"ℝ\\setminus \\{{{left_out[1].replace(' and ', ', ')}\\}}"
    elif (builder := BUILDER.fullmatch(text)) and re.search("[<>=]", builder[2]):
        text = REALS.sub("", builder[2]).strip()
    core, unit, scale = units.split(text, letters)
    try:
        node = parse(core)
        if core.endswith("%") and (inner := parse(core[:-1])).op == "div":  # 25/2 % is 12.5 %
            node = Node("percent", (inner,))
    except Unreadable:
        return None
    if scale != 1:
        if node.op != "number":
            return None
        value: Fraction = node.value * scale
        node = Node("number", value=value, written="integer" if value.denominator == 1 else "decimal")
    return Answer(node, unit)


def kind_of(node: Node) -> str:
    """What a rule calls the type of the task's answer."""
    names = {
        "group": "tuple or interval",
        "union": "union",
        "list": "list",
        "set": "set",
        "matrix": "matrix",
        "relation": "equation",
    }
    if node.op in names:
        return names[node.op]
    if node.op in ("ratio", "subscript"):
        return node.op
    if any(n.op == "name" for n in walk(node)):
        return "expression"
    form = equality.literal(node)
    return "closed form" if form == "expression" else form


def same(one: str, other: str) -> bool:
    """Whether two final answers mean the same, by types alone; for votes. Answers of no type are the same if their text is."""
    finding = compare(one, other)
    return bool(finding.same) or tidy(one) == tidy(other) != ""
