"""Where a response says its final answer: text in, text out, in linear time on any input.

The first of these that applies; its name becomes part of `Verdict.rule`:

    "tag"               what stands in the last <answer>…</answer> (the closing tag may be missing at the end)
    "box"               the last \\boxed{…} that is closed
    "marker"            what follows the last "answer is", "Answer:", "A:" or "####": its line, up to the end of the sentence
    "whole"             the whole response, where it is one line without prose
    "last expression"   the last number or expression: what follows "=" at the end, a last $…$, else the last number

Thinking does not count: where there is a </think>, only what follows the last one is read, and thoughts that never end hold no
answer. Of what is left, only the last LONGEST characters are read. A tag or a marker may hold a box, which is then the answer.
"""

from __future__ import annotations

import re

LONGEST = 200_000  # characters from the end of a response
LONGEST_ENDING = 2_000  # characters from its end in which a last number is looked for

BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
MARKER = re.compile(
    r"####|\b(?:answer|ANSWER)\b[*_ \t]{0,8}(?:\bis\b|\bIS\b|:|=)|\b(?:Answer|ANSWER)\b[*_ \t]{0,8}(?:\bis\b|:|=)|(?<![\w'])A:"
)
SENTENCE = re.compile(r"[.!?](?=\s)|,? (?:because|since|which|so that|as there|and this|where)\b|\s\((?=[A-Za-z]{3,})")
WORD = re.compile(r"[A-Za-z]{3,}")
SHORT = re.compile(r"\b(?:so|we|it|is|he|to|of|as|by|at)\b", re.IGNORECASE)
SPECIAL = frozenset(
    "sqrt sin cos tan log frac cup infty and text left right pmatrix bmatrix begin end dfrac cdot times boxed".split()
)
DOLLARS = re.compile(r"\$\$([^$]{1,500})\$\$|\$([^$\n]{1,500})\$|\\\(([^\n]{1,500}?)\\\)|\\\[([^$]{1,500}?)\\\]")
DIGITS = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3}\b)?"
N = rf"[-+]?(?:[$€£¥]\s?)?[-+]?{DIGITS}(?:\s?(?:%|percent\b))?!?"
JOINED = r"\s?(?:[-+*/^×÷·:–]|\bor\b|,? or\b|\band\b|\bto\b)\s?\(?"
NUMBERS = re.compile(rf"(?<![\w.]){N}(?:{JOINED}{N}\)?){{0,20}}")
CHANGES = re.compile(
    r"\b(?:not|no|never|neither|nor|or|except|unless|less|more|half|third|quarter|hundred|thousand|million|billion|dozen|minus|"
    r"plus|times|squared|cubed|isn|cents?|negative|between)\b",
    re.IGNORECASE,
)


def extract(response: str) -> tuple[str, str]:
    """(the final answer, the rule that found it); ("", "none") where nothing is answered."""
    tag = response.rfind("<answer>")
    thought = response.rfind("</think>")
    if tag >= 0 and tag > thought:
        inside = response[tag + len("<answer>") :].partition("</answer>")[0]
        inside = inside[-LONGEST:].strip()
        return (last_box(inside) or inside, "tag")
    text = response[thought + len("</think>") :] if thought >= 0 else response
    if thought < 0 and "<think>" in text:
        return "", "none"
    text = text[-LONGEST:].strip()
    if (boxed := last_box(text)) is not None:
        return boxed, "box"
    if marked := after_marker(text):
        return marked, "marker"
    if text and len(text) <= 500 and not is_prose(text) and "\n" not in text:
        return text, "whole"
    if last := last_expression(text):
        return last, "last expression"
    return "", "none"


def last_box(text: str) -> str | None:
    """What stands in the \\boxed{…} that closes last, boxes inside it removed; None without one. A truncated box is none."""
    opened: list[int] = []  # where the content of a box starts, -1 for other braces
    found: tuple[int, int] | None = None
    for match in BRACES.finditer(text):
        piece = match[0]
        if piece == "{":
            opened.append(-1)
        elif piece == "}":
            start = opened.pop() if opened else -1
            if start >= 0:
                found = (start, match.start())
        elif piece[-1] == "{" and len(piece) > 2:
            opened.append(match.end())
    if found is None:
        return None
    content = text[slice(*found)].strip()
    inner = re.fullmatch(r"\\(?:boxed|fbox)\s*\{(.*)\}", content, re.DOTALL)
    return inner[1].strip() if inner else content


def is_prose(text: str) -> bool:
    return any(word.lower() not in SPECIAL for word in WORD.findall(text)) or SHORT.search(text) is not None


def after_marker(text: str) -> str:
    """What follows the last marker that anything follows; "" without one."""
    for match in reversed(list(MARKER.finditer(text))[-3:]):
        rest = text[match.end() : match.end() + 20_000].lstrip(" \t\r\n:*_")
        line = rest.partition("\n")[0]
        if line.startswith(("$$", "\\[")) and len(line) < 3:  # display mathematics on lines of its own
            line = " ".join(rest.split("\n")[:3])
        if line.strip():
            return narrowed(line)
    return ""


def narrowed(line: str) -> str:
    """A line up to the end of its first sentence; of a sentence in prose, its only formula or number, if it has just one.

    With words such as "or", "not" or "half" in it, the sentence stays whole, and will not be readable.
    """
    end = SENTENCE.search(line)
    sentence = (line[: end.start()] if end else line).strip().rstrip(" .,;*_`")
    words = [word for word in WORD.findall(sentence) if word.lower() not in SPECIAL]
    starts_with_answer = re.match(r"[*_`(\[]{0,4}[-+$€£\\({\[0-9.]", sentence)
    if len(words) < 2 or starts_with_answer or CHANGES.search(sentence):
        return sentence
    formulas = [next(filter(None, match.groups())) for match in DOLLARS.finditer(sentence)]
    if len(formulas) == 1:
        return formulas[0]
    numbers = [match[0] for match in NUMBERS.finditer(sentence)]
    return numbers[0] if len(numbers) == 1 and not formulas else sentence


def last_expression(text: str) -> str:
    """What the end of a text without any marker comes to; "" where it holds no number."""
    ending = text[-LONGEST_ENDING:]
    lines = [line for line in ending.split("\n") if line.strip(" \t*_`$.")]
    if not lines:
        return ""
    line = lines[-1]
    formulas = list(DOLLARS.finditer(line))
    if formulas and not NUMBERS.search(line[formulas[-1].end() :]):
        content = next(filter(None, formulas[-1].groups()))
        return content.rpartition("=")[2].strip() or content
    after = line.rpartition("=")[2].strip() if "=" in line else ""
    if after and not is_prose(after):
        return after
    numbers = list(NUMBERS.finditer(after or line)) or list(NUMBERS.finditer(ending))
    return numbers[-1][0].strip() if numbers else ""
