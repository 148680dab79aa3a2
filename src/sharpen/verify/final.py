"""The final answer of a response, for rules that compare text and numbers: one place for runs, files and audits.

1. Thoughts never hold it (`without_thoughts`).
2. In `<answer>…</answer>` it is what stands there, letter for letter: nothing is read into it, but a box of a number is opened.
3. Without the tag, the whole response is it where that is one answer and nothing else. A sentence is read as a person would:
   the last box, what follows "the answer is" or "####", else the last line where words are asked for, and the last number where
   a number is (`maths.find`). Marks around it (bold, quotes, a full stop) do not count unless the task's own answer has them;
   nor do the unit of a number, and what stands before its "=".
4. Where several answers are given ("7 or 8", "Lima or Quito"), the text has them all, and no rule accepts it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from sharpen.core import Task
from sharpen.verify.maths import (
    HALF_DAY,
    asks_percent,
    equations,
    find,
    last_box,
    numeral,
    question,
    sentences,
    settled,
    tagged,
    tidy,
    time_asked,
    undecorated,
    without_thoughts,
    without_unit,
)

LONGEST_SAID = 20_000  # characters from the end of a response, beyond the length of an answer, in which one is looked for
LONGEST_NUMBER = 1_000  # characters of one number; Python's own integers refuse more than 4,300 digits

NUMBER = re.compile(r"[+-]?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
RATIO = re.compile(r"[+-]?[0-9]+/[0-9]+")
BEGINS = frozenset("0123456789+-.['\"")  # what a list of numbers may begin with
SEPARATOR = re.compile(r"\s*[,;×*]\s*|\s+")
ITEM = r"(?<![\w.,/^-])[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?![\w/^]|\.[0-9]|,[0-9])"
LIST = re.compile(rf"(?:\[|\()?({ITEM}(?:(?:\s*[,;]\s*(?:and\s+)?|\s+and\s+|\s*[×*]\s*){ITEM})+)(?:\]|\))?")
BRACKETS = re.compile(r"\[([^\[\]]{1,2000})\]")
AND = re.compile(r",?\s+and\s+")
AROUND = re.compile(r"[^0-9\[\](){}]*[A-Za-z]{2,}[^0-9\[\](){}]*")
ENDED = re.compile(r"[*_`$\s]*(?:[.!;,]|$|[A-Za-z])")
SAID = re.compile(
    r"[A-Za-zÀ-ÿ]{2,}[^\n]{0,200}[.:!?](?:\W|$)|[A-Za-zÀ-ÿ]{2,} [A-Za-zÀ-ÿ]{2,}(?:[ ,]+[A-Za-zÀ-ÿ]+)+|[^\x00-\u024f]{4}"
)
CHANGES = re.compile(r"\b(?:or|not|no|never|neither|nor|maybe|perhaps)\b|n't\b", re.IGNORECASE)
CENTS = re.compile(r"\bcents?\b|¢|\bpenn(?:y|ies)\b", re.IGNORECASE)
PREDICATE = re.compile(r"[^.!?\n]{1,300}\b(?:is|was|are|were) (?:(?:an?|the) )?([^.!?\n]{1,200})[.!]?")
NAMED = re.compile(r"([^.!?,;:\n]{1,100}) is the (?:correct |right |final )?answer[.!]?", re.IGNORECASE)
UNSURE = re.compile(  # of whose capital something is, is another question
    r"\b(?:or|not|no|never|neither|nor|maybe|perhaps|if|whether|unless|false|wrong|would|could|might|may|doubt|cannot"
    r"|who|whose|whom|which|that|where)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)
SIDE = re.compile(r"(yes|no|true|false)[*_]{0,2}(?:[,;:!.][*_]{0,2}| [-–—])\s(.*)", re.IGNORECASE | re.DOTALL)
OTHER_SIDE = {"yes": "no", "no": "yes", "true": "false", "false": "true"}
MARKS = frozenset("*_`\"' “”‘’")
STRAIGHT = str.maketrans("’‘“”\u00a0", "''\"\" ")


def final_answer(task: Task, response: str, rule: str = "") -> tuple[str, str]:
    """(the final answer, the rule that found it); ("", "none") where nothing is answered.

    rule  "number" and "numbers" read these out of sentences, others do not; the task's verifier unless given
    """
    rule = rule or task.verifier
    text = without_thoughts(response)
    if (inside := tagged(text)) is not None:
        return (boxed(inside) if rule in ("number", "numbers") else inside), "tag"
    text, golds = text.strip(), right_answers(task)
    if text in golds:
        return text, "whole"
    text = settled(text)
    squeezed = squeeze(text)
    if any(squeezed == squeeze(gold) for gold in golds):
        return text, "whole"
    if len(text) > LONGEST_SAID + max(map(len, golds)):
        if "\n" not in text:
            return text, "whole"
        text = text[-LONGEST_SAID:]
    gold = listed_numbers(golds[0])
    if gold is None:
        return _words(text, tuple(golds))
    if is_number(text) or listed_numbers(text) is not None:
        return text, "whole"
    if sum(listed_numbers(line) is not None for line in text.split("\n")) > 1:  # several answers are none
        return text, "whole"
    found = find(text)
    value = found.text or (found.line.strip() if numeral(found.line) else "")
    if rule == "numbers" and len(gold) > 1:
        return _list([found.line] if found.how == "last expression" else [value, found.line]), found.how
    if "=" in value and not equations(value):
        value = value.rpartition("=")[2].strip()
    if found.how == "marker" and value[-2:-1].isdigit():  # joy, no factorial
        value = value.removesuffix("!")
    if rule in ("number", "numbers") and not is_number(value, ratio=True):
        value = _bare_number(value, question(task))
    return value, found.how


def boxed(inside: str) -> str:
    """What a tag holds, or what stands in the box that is all that it holds."""
    box = last_box(inside)
    return box if box is not None and inside.strip("$ ").startswith(("\\boxed", "\\fbox")) else inside


def right_answers(task: Task) -> list[str]:
    """The task's own answer, and the others that it accepts."""
    return [str(answer or "").strip() for answer in (task.answer, *task.data.get("accept", ()))]


def squeeze(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(text.split())).casefold()


@lru_cache(maxsize=1024)  # the rollouts of a task often give the same wrong answer
def _words(text: str, golds: tuple[str, ...]) -> tuple[str, str]:
    """A final answer in words: they have no last number, so that the last line counts where nothing says which."""
    found = find(text)
    if found.how == "tag" or not text:
        return "", "none"
    lines = text.split("\n")
    said, how = [tidy(found.text), found.text], found.how
    if how == "marker":  # "St. Louis" is no sentence that ends after "St."
        said = [*sentences(found.line), found.text]
    elif how != "box":  # the last line, after a sentence; what stands twice, or in columns, is no answer and its reasons
        lines = [line.strip() for line in lines if line.strip()]
        alone = len(lines) > 1 and lines[-1] != lines[-2] and any(SAID.search(line) for line in lines[:-1])
        said, how = ([lines[-1]], "last line") if alone else ([text], "whole")
    if how != "box":
        said = [*spoken(said[-1]), *said]
    stripped = [_unmarked(form, gold) for gold in golds for each in said for form in (each, undecorated(each))]
    wanted = {squeeze(gold) for gold in golds}
    return next((each for each in stripped if squeeze(each) in wanted), _unmarked(said[-1], golds[0])), how


def spoken(sentence: str) -> list[str]:
    """What a sentence says in short: "Yes, 7 is prime." yes, "The capital is Lima." Lima; nothing of one that hedges."""
    side = SIDE.fullmatch(sentence.strip().lstrip("*_"))
    if side and not re.search(rf"\b{OTHER_SIDE[side[1].lower()]}\b", side[2], re.IGNORECASE):
        return [side[1]]
    if (named := NAMED.fullmatch(sentence.strip())) and not UNSURE.search(named[1]):
        return [named[1]]
    said = PREDICATE.fullmatch(sentence.strip())
    return [said[1]] if said and not UNSURE.search(sentence[: said.start(1)]) else []


def _unmarked(text: str, gold: str) -> str:
    """Without marks around it and a full stop behind it, except those that the task's own answer has."""
    text = text.strip()
    opened = "".join(MARKS - set(gold[:1]))
    text = text.lstrip(opened)
    if gold.endswith("."):  # of the full stops behind it one may be its own
        bare = text.rstrip("".join(MARKS) + ".,;!。")
        return bare + "." if text[len(bare) :].lstrip("".join(MARKS))[:1] == "." or bare + "." == gold else bare
    return text.rstrip("".join(MARKS - set(gold[-1:])) + "".join(set(".!。") - set(gold[-1:])))


def _bare_number(text: str, asked: str) -> str:
    """A number without its currency or unit; the text as it is where it is no such thing, or cents that nobody asked for."""
    plain = tidy(text)
    plain = numeral(plain) or plain
    bare = without_unit(plain)
    if bare.endswith("%") and asks_percent(asked):
        bare = bare[:-1].strip()
    cents = CENTS.search(plain) is not None and CENTS.search(asked) is None
    clock = HALF_DAY.search(plain) is not None and not time_asked(asked)
    return bare if is_number(bare, ratio=True) and not cents and not clock else plain


def _list(sayings: list[str]) -> str:
    """The numbers that the first of these sentences lists that lists any; the last as it is where none does, or says more."""
    for said in sayings:
        said = re.sub(r"^\s*[A-Za-z]\w{0,20}\s*=\s*", "", said)
        plain = AND.sub(", ", tidy(said) if "\\" in said else said.strip(" .$"))
        if len(listed_numbers(plain) or ()) > 1:
            return plain
        lists = list(LIST.finditer(said)) or [m for m in BRACKETS.finditer(said) if listed_numbers(m[0]) is not None]
        rest = "".join(said[a:b] for a, b in zip([0, *(m.end() for m in lists)], [*(m.start() for m in lists), len(said)]))
        alone = len(lists) == 1 and AROUND.fullmatch(rest) and not CHANGES.search(rest)
        if alone and ENDED.match(said, lists[0].end()):
            return AND.sub(", ", lists[0][1])
    return sayings[-1]


def tidy_text(text: str, spaces: bool = True) -> str:
    """In one Unicode form (NFC), without spaces at the ends of lines and of the whole, or without any spacing at all."""
    text = unicodedata.normalize("NFC", text)
    return "\n".join(line.rstrip() for line in text.strip().split("\n")) if spaces else "".join(text.split())


def is_number(text: str, ratio: bool = False) -> bool:
    """Whether `read_number` reads it; a tenth of its time."""
    if len(text) > LONGEST_NUMBER:
        return False
    divides = ratio and RATIO.fullmatch(text) is not None and text.partition("/")[2].strip("0") != ""
    return divides or NUMBER.fullmatch(text) is not None


def read_number(text: str, ratio: bool = False) -> Fraction | None:
    """The number that a text is, or None where it is none, is longer than LONGEST_NUMBER, or divides by zero."""
    return _number(text) if is_number(text, ratio) else None


@lru_cache(maxsize=4096)  # a step has few numbers, each of them many times
def _number(text: str) -> Fraction:
    plain = text.replace(",", "")
    return Fraction(int(plain)) if plain.lstrip("+-").isdigit() else Fraction(plain)  # an integer in a fifth of the time


def listed_numbers(text: str) -> Sequence[str] | None:
    """The numbers that a text lists, or None where it is no list of numbers. Thousands commas are not read: they separate."""
    text = text.strip()
    if text[:1] not in BEGINS:  # nearly all text that is no list
        return None
    return _known_list(text) if len(text) <= LONGEST_NUMBER else _listed(text)


def _listed(text: str) -> tuple[str, ...] | None:
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1].strip()
    found = []
    for item in SEPARATOR.split(text):
        quoted = len(item) > 2 and item[0] == item[-1] and item[0] in "'\""
        number = item[1:-1] if quoted else item
        if not is_number(number):
            return None
        found.append(number)
    return tuple(found)


_known_list = lru_cache(maxsize=4096)(_listed)  # a task's own answer is read for each answer to it, and an answer three times


def read_numbers(text: str) -> list[Fraction] | None:
    """The same as numbers."""
    found = listed_numbers(text)
    return None if found is None else [_number(number) for number in found]
