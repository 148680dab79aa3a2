"""Where a response says its final answer: text in, text out, in linear time on any input.

The first of these that applies; its name becomes part of `Verdict.rule`:

    "tag"               what stands in the last <answer>…</answer> (the closing tag may be missing at the end)
    "box"               the last \\boxed{…} that is closed; where one sentence joins several, their list
    "marker"            what follows the last "answer is", "Answer:", "A:", the like in other languages, or "####" on the last
                        line: its line, up to the end of the sentence. What is denied, asked or said by somebody else, as in
                        "the wrong answer is 7" or "the answer is 7? No.", stays with these words, and cannot be read
    "whole"             the whole response, where it is one line without prose
    "last expression"   the last number or expression: what follows "=" at the end, a last $…$, else the last number

A "####" that more lines follow is a heading of Markdown. Thoughts do not count (`without_thoughts`), nor does what stands
before "Wait, that is wrong." (`endings.settled`); nor, where there is no box, a sentence that disowns its number
(`endings.owned`). Of what is left, only the last LONGEST characters are read. A tag or a marker may hold a box, which is then
the answer. How the last expression is found is in `endings`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sharpen.verify.maths.endings import DOLLARS, LONGEST_ENDING, NUMBERS, SPECIAL, WORD, is_prose, last_lines, owned, settled

LONGEST = 200_000  # characters from the end of a response

NAMED_BOX = r"(?:([A-Za-z]\s?=)\s?\$?\s?)?"
ONE_BOX = re.compile(
    rf"{NAMED_BOX}\\(?:boxed|fbox)\s?\{{([^{{}}]{{1,200}}|(?:[^{{}}]{{0,60}}\{{[^{{}}]{{0,60}}\}}){{1,4}}[^{{}}]{{0,60}})\}}"
)
JOINT = re.compile(r"(?:[\s$,;&]|\\[,; ]|\\q?quad|\band\b|\bor\b|\\text\s?\{\s?(?:and|or)\s?\})*")
BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
THOUGHT_ENDS = re.compile(r"</(?:think|thinking|thought)>|\[/THINK\]", re.IGNORECASE)
THOUGHT_BEGINS = re.compile(r"<(?:think|thinking|thought)>|\[THINK\]", re.IGNORECASE)
LATIN = (  # "answer" in other languages, before a colon or a verb
    "ответ відповідь antwort lösung réponse respuesta resposta risposta antwoord odpowiedź svar cevap yanıt jawaban odpověď "
    "răspuns vastaus válasz απάντηση उत्तर الإجابة الجواب"
)
EASTERN = "정답 답 答案 答え 回答 答"  # written without spaces between words
KINDS = "correcta|correcte|richtige|corretta|correta|finale?"
VERBS = r"[:：=]|(?:ist|lautet|est|es|é|è|is|to|är|adalah|là|это)\b|是|为|為|は"
MARKER = re.compile(
    r"(?<!#)####(?!#)"
    r"|\b(?:answer|ANSWER)\b[*_ \t]{0,8}(?:\bis\b|\bIS\b|[:：]|=)|\b(?:Answer|ANSWER)\b[*_ \t]{0,8}(?:\bis\b|[:：]|=)"
    r"|(?<![\w'])A:"
)
ABROAD = re.compile(
    rf"(?:(?<!\w)(?:{'|'.join(LATIN.split())})|{'|'.join(EASTERN.split())})(?: (?:{KINDS}))?[*_ \t]{{0,8}}(?:{VERBS})",
    re.IGNORECASE,
)
ENUMERATED = re.compile(
    r"[\s*]{0,4}(?:(?:step|part|case|section|question|problem|example|note)\b|[0-9]{1,3}[.):]\s+\S*[A-Za-z])", re.I
)
CLOSED = re.compile(r"(?<=[\w)%$.])[*_]{1,3}(?=\s+[A-Za-z(])")  # the end of what is bold, with words behind it
SECOND = re.compile(r"^\W*B\s?:", re.MULTILINE)
SENTENCE = re.compile(r"[.!?](?=\s)|[。！？]|,? (?:because|since|which|so that|as there|and this|where)\b|\s\((?=[A-Za-z]{3,})")
DECORATION = r"[\U0001F000-\U0001FAFF\u2600-\u2653\u2668-\u266C\u2670-\u27BF\u2B00-\u2BFF\uFE0F\u200D\s]+"  # no suits of cards
DECORATED = re.compile(rf"^{DECORATION}|{DECORATION}$")
CHANGES = re.compile(
    r"\b(?:not|no|never|neither|nor|or|except|unless|less|more|half|third|quarter|hundred|thousand|million|billion|dozen|minus|"
    r"plus|times|squared|cubed|isn|cents?|negative|between|increases?|decreases?)\b",
    re.IGNORECASE,
)


DOUBTED = re.compile(  # before "answer is" in its clause
    r"(?:\b(?:not|never|cannot|no one|nobody|incorrect|wrong|false|worst|least|who|thought|guessed|assumed|believed"
    r"|claim(?:s|ed)?|says|said|whether)\b|n['’]t\b)[^.!?,;:\n]{0,60}\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Found:
    """A final answer, the rule that found it, and the line that it was found in, from its marker on."""

    text: str
    how: str
    line: str = ""


def extract(response: str) -> tuple[str, str]:
    """(the final answer, the rule that found it); ("", "none") where nothing is answered."""
    found = find(response)
    return found.text, found.how


def find(response: str) -> Found:
    """The final answer; Found("", "none") where nothing is answered."""
    text = without_thoughts(response)
    if (inside := tagged(text)) is not None:
        inside = inside[-LONGEST:].strip()
        return Found(last_box(inside) or inside, "tag", inside)
    text = settled(text[-LONGEST:].strip())
    if (boxed := last_box(text)) is not None:
        several = last_boxes(text)
        boxed = ", ".join(several) if several and several[-1].endswith(boxed) else boxed
        return Found(undecorated(boxed) or boxed, "box", boxed)
    text = owned(text).strip()
    marked, line = after_marker(text)
    if marked:
        return Found(marked, "marker", line)
    if text and "\n" not in text and not is_prose(text):
        return Found(DECORATED.sub("", text), "whole", text)
    last, line = last_lines(text)
    return Found(last, "last expression" if last else "none", line or text.rpartition("\n")[2])


def undecorated(text: str) -> str:
    """Without emoji and spaces at its ends."""
    return DECORATED.sub("", text)


def without_thoughts(response: str) -> str:
    """What a response says when it is done thinking: what follows the last </think>, up to a <think> that never ends."""
    if "<" not in response and "[" not in response:
        return response
    if (
        response.isascii() and "think" not in (lower := response.lower()) and "thought" not in lower
    ):  # a tenth of a search's time
        return response
    end = 0
    for match in THOUGHT_ENDS.finditer(response):
        end = match.end()
    begun = THOUGHT_BEGINS.search(response, end)
    return response[end : begun.start()] if begun else response[end:]


def tagged(text: str) -> str | None:
    """What stands in the last <answer>…</answer>, stripped; None without one. The closing tag may be missing at the end."""
    start = text.rfind("<answer>")
    return None if start < 0 else text[start + len("<answer>") :].partition("</answer>")[0].strip()


def last_boxes(text: str) -> list[str]:
    """Several boxes of one sentence, as in "x = \\boxed{35} and y = \\boxed{4}", each with its name; fewer than two: none."""
    line = next((line for line in reversed(text[-LONGEST_ENDING:].split("\n")) if "boxed" in line or "fbox" in line), "")
    places = [match for match in ONE_BOX.finditer(line)]
    between = [line[a.end() : b.start()] for a, b in zip(places, places[1:])]
    if len(places) < 2 or not all(JOINT.fullmatch(part) for part in between):
        return []
    return [f"{match[1] or ''}{match[2]}" for match in places]


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


def after_marker(text: str) -> tuple[str, str]:
    """What follows the last marker that anything follows, and its whole line; "" without one."""
    last_line = text.rfind("\n")
    found = [
        m
        for m in MARKER.finditer(text)
        if (m[0] != "####" or (m.end() > last_line and not ENUMERATED.match(text, m.end())))
        and not (m[0] == "A:" and SECOND.search(text, m.end()))  # the first of several choices
    ]
    for match in reversed((found or list(ABROAD.finditer(text)))[-3:]):
        behind = text[match.end() : match.end() + 20_000].lstrip(" \t\r\n:：")
        rest = behind.lstrip(" \t\r\n:：*_")
        line = rest.partition("\n")[0]
        if line.startswith(("$$", "\\[")) and len(line) < 3:  # display mathematics on lines of its own
            line = " ".join(rest.split("\n")[:3])
        if not line.strip():
            continue
        doubt = DOUBTED.search(text[max(0, match.start() - 100) : match.start()])
        asked = re.match(r"[^.!?\n]{0,200}\?(?=\s+[A-Z])", line)
        if doubt or asked:
            said = f"{doubt[0] if doubt else ''}{match[0]} {asked[0] if asked else line}"
            return said, said
        before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        bold = behind[:1] in ("*", "_") or before.count("**") % 2
        return narrowed(CLOSED.sub("", line, count=1) if bold else line), line
    return "", ""


def sentences(line: str) -> list[str]:
    """The first sentence of a line, the first two, and so on, as far as each may end where a full stop does."""
    ends = [match.start() for match in SENTENCE.finditer(line[:LONGEST_ENDING])]
    return [line[:end] for end in ends] + [line]


def narrowed(line: str) -> str:
    """A line up to the end of its first sentence; of a sentence in prose, its only formula or number, if it has just one.

    With words such as "or", "not" or "half" in it, the sentence stays whole, and will not be readable.
    """
    end = SENTENCE.search(line)
    sentence = undecorated((line[: end.start()] if end else line).rstrip(" .,;*_`")).rstrip(" .,;*_`")
    words = [word for word in WORD.findall(sentence) if word.lower() not in SPECIAL]
    starts_with_answer = re.match(r"[*_`(\[]{0,4}[-+$€£\\({\[0-9.]", sentence)
    if len(words) < 2 or starts_with_answer or CHANGES.search(sentence):
        return sentence
    formulas = [next(filter(None, match.groups())) for match in DOLLARS.finditer(sentence)]
    if len(formulas) == 1:
        return formulas[0]
    numbers = [match[0] for match in NUMBERS.finditer(sentence)]
    return numbers[0] if len(numbers) == 1 and not formulas else sentence
