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
    units        may be left out, are never converted, and must not conflict (`units`).
    closed forms 2√3 = √12, 1/√2 = √2/2, sin(π/6) = 1/2, 1/2004! ≠ 1/2006!: by value, to 300 digits (`arithmetic`).
    letters      x^2 + 2x + 1 = (x + 1)^2: by value at fixed rational points. The names of letters count.
    x = 3        is 3 where the task's answer is 3; y = 3 is not x = 3. 2x + 4y = 6 is x + 2y = 3: a factor apart.
    (1, 2)       in order; the brackets count: (1, 2), [1, 2], (1, 2] differ. x > 3 is (3, ∞). Columns are tuples.
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
from sharpen.verify.maths import equality, mathverify, units
from sharpen.verify.maths.arithmetic import TooCostly, Unknown
from sharpen.verify.maths.equality import Asked, NotCarriedOut
from sharpen.verify.maths.expressions import Node, Unreadable, parse, walk
from sharpen.verify.maths.extraction import extract, last_box
from sharpen.verify.maths.notation import tidy

VERSION = "1"  # raised whenever a verdict could change: scores of different versions are not comparable
LONGEST_ANSWER = 10_000  # characters that an answer may have beyond the length of the task's own

LETTER = re.compile(r"\(?([A-J])\)?")
CHOICE = re.compile(r"(?:(?:option|choice|answer) )?(?:\(([A-Ja-j])\)|([A-J])(?![A-Za-z]))[.:)]?(?: .*)?", re.IGNORECASE)
ANOTHER = re.compile(r"\bor\b|\band\b|\([A-Ja-j]\)|[,/&] ?[A-J]\b")
WORDS = re.compile(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ' .,-]*")
APPROXIMATE = re.compile(r"^(?:≈|approximately|about|roughly|exactly)\s*")
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
    """The verifier. Task data: `places`, see above. `unscorable` where the task's own answer cannot be judged by any means."""
    gold = gold_text(task.answer or "")
    text, how = extract(response)
    if not gold:
        return Verdict("unscorable", None, feedback="the task has no answer of its own", rule=f"{how}: none", version=VERSION)
    if not text:
        return Verdict("malformed", 0.0, feedback="There is no answer.", rule=f"{how}: none", version=VERSION)
    if len(text) > LONGEST_ANSWER + len(gold):
        return Verdict("limit", 0.0, feedback="The answer is too long.", rule=f"{how}: length", version=VERSION)
    finding = compare(text, gold, question(task), task.data)
    if finding.same is False and how == "marker" and text[-2:-1].isdigit() and text.endswith("!"):  # joy, no factorial
        finding = compare(text[:-1], gold, question(task), task.data)
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


def compare(text: str, gold: str, asked: str = "", data: Mapping[str, Any] | None = None) -> Finding:
    """Whether two answers are the same by their types, without Math-Verify. `asked` is the question's text."""
    given, expected = tidy(text), tidy(gold)
    if letter := LETTER.fullmatch(expected):
        chosen = CHOICE.fullmatch(given)
        found = (
            (chosen[1] or chosen[2]).upper()
            if chosen and not ANOTHER.search(given[chosen.end(1 if chosen[1] else 2) :])
            else ""
        )
        return Finding(found == letter[1], "choice")
    if given and given == expected:
        return Finding(True, "same text")
    if len(expected) > 2 and WORDS.fullmatch(expected) and given.casefold() == expected.casefold():
        return Finding(True, "words")
    theirs = read(expected, letters=False)
    if theirs is None or (WORDS.fullmatch(expected) and len(expected) > 3):
        if WORDS.fullmatch(expected):
            return Finding(" ".join(given.casefold().split()) == " ".join(expected.casefold().split()), "words")
        return Finding(None, "no type")
    kind = kind_of(theirs.node)
    ours = read(given, letters=not equality.letters(theirs.node))
    if ours is None:
        return Finding(False, kind, f"The answer cannot be read as {kind}.", "malformed")
    if ours.unit and not theirs.unit:
        theirs = read(expected) or theirs
    if units.conflict(ours.unit, theirs.unit):
        return Finding(False, kind, "The unit is wrong.")
    if (ours.unit == "cent") != (theirs.unit == "cent") and not re.search(r"\bcents?\b|¢", asked):
        return Finding(False, kind, "The unit is wrong.")
    return typed(ours.node, theirs.node, kind, Asked(asked, (data or {}).get("places")))


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
    core, unit, scale = units.split(APPROXIMATE.sub("", text), letters)
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
