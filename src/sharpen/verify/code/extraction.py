"""Where a response has its code: the fenced block that is the program, and not an example of its use or of its output.

Thoughts hold no code (`maths.without_thoughts`), and an <answer> at the beginning of a line, before any fence, holds all of it.
Fences are those of CommonMark: three or more ` or ~, indented by up to MOST_INDENT spaces, which are taken off the lines
between; a fence inside a Python text in triple quotes is part of the text. A block of Markdown is looked into.

Of several blocks the last counts of the first kind that there is: blocks tagged as the language, blocks without a tag, others.
Among those of a kind, for a function only the blocks that define it count, where there are any; for a program, blocks under a
line such as "Example usage:" or "Output:" count only where there are no others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sharpen.verify.code.languages import Language
from sharpen.verify.maths import without_thoughts

MOST_INDENT = 12  # spaces; CommonMark has 3 outside of lists, and lists in lists have more
FENCE = re.compile(rf"([ \t]{{0,{MOST_INDENT}}})(`{{3,}}|~{{3,}})")
MARKDOWN = ("markdown", "md")
BESIDE = re.compile(
    r"\W*(?:(?:here (?:is|are)|an|some|the|for) )*(?:(?:example|sample|expected|usage|output|input|results?|testing|tests?)\b.*"
    r"|.*\b(?:usage|outputs?|prints|example run|run it|test it|to use it)\b.*)",
    re.IGNORECASE,
)
TAG = re.compile(r"^[ \t]*<answer>[ \t]*", re.MULTILINE)
PYTHON_QUOTES = re.compile(r"\"\"\"|'''")


@dataclass(frozen=True)
class Block:
    tag: str
    code: str
    under: str  # the last line before it that says something


def extract(response: str, language: Language, name: str = "") -> tuple[str, str]:
    """(code, the rule by which it was found): the last fenced block that counts, or the whole text where there is none.

    name  of the function that is wanted, "" for a program
    """
    text = within_tag(without_thoughts(response))
    found = blocks(text, language)
    if not found:
        return text, "whole text"
    own = (language.name, *language.aliases)
    tagged = [block for block in found if block.tag in own]
    untagged = [block for block in found if not block.tag]
    if name:
        defining = [block for kind in (tagged, untagged, found) for block in kind if defines(block.code, name)]
        first_kind = next((kind for kind in (tagged, untagged, found) if any(block in defining for block in kind)), found)
        meant = [block for block in first_kind if block in defining] or tagged or untagged or found
    else:
        kind = tagged or untagged or found
        meant = [block for block in kind if not BESIDE.fullmatch(block.under[:200])] or kind
    return meant[-1].code, "last fenced block"


def within_tag(text: str) -> str:
    """What stands in an <answer> that is around the code; the whole text where the tag is a part of a program."""
    start = TAG.search(text)
    if start is None or "```" in text[: start.start()] or "~~~" in text[: start.start()]:
        return text
    return text[start.end() :].partition("</answer>")[0].strip("\n")


def blocks(text: str, language: Language) -> list[Block]:
    """All fenced blocks, in order. A block that nothing closes ends with the text."""
    found: list[Block] = []
    opened, tag, indent, under, last = "", "", 0, "", ""
    lines: list[str] = []
    quotes = {'"""': 0, "'''": 0}
    for line in [*text.split("\n"), None]:
        marks = FENCE.match(line) if line is not None else None
        rest = line[marks.end() :].strip() if line is not None and marks else ""
        closing = opened and marks is not None and marks[2].startswith(opened) and not rest
        if closing and language.name == "python" and tag in ("", language.name, *language.aliases):
            closing = not any(count % 2 for count in quotes.values())
        if closing or (opened and line is None):
            found += inside(Block(tag, "\n".join(lines), under), language)
            opened = ""
        elif line is None:
            break
        elif opened:
            lines.append(line[min(indent, len(line) - len(line.lstrip(" \t"))) :])
            for mark in PYTHON_QUOTES.findall(line):
                other = "'''" if mark == '"""' else '"""'
                quotes[mark] += quotes[other] % 2 == 0
        elif marks and "`" not in rest:
            opened, indent, under = marks[2], len(marks[1]), last
            tag = rest.split()[0].strip("{.}").lower() if rest else ""
            lines, quotes = [], {'"""': 0, "'''": 0}
        elif line.strip():
            last = line.strip()
    return found


def inside(block: Block, language: Language) -> list[Block]:
    """The block itself; of one that is Markdown, the blocks in it."""
    nested = "```" in block.code or "~~~" in block.code
    if nested and (block.tag in MARKDOWN or (not block.tag and block.code.lstrip().startswith(("```", "~~~")))):
        within = blocks(block.code, language)
        if block.tag in MARKDOWN or any(each.tag in (language.name, *language.aliases) for each in within):
            return within
    return [block]


def defines(code: str, name: str) -> bool:
    """Whether code defines a function of that name, in Python or JavaScript, perhaps as a method."""
    word = re.escape(name)
    forms = rf"def\s+{word}\b|function\s*\*?\s*{word}\b|(?:const|let|var)\s+{word}\b|{word}\s*(?::[^=\n]{{1,80}})?=(?!=)"
    method = rf"^[ \t]+(?:async\s+|static\s+)?{word}\s*\([^()\n]*\)\s*\{{"
    return re.search(rf"^[ \t]*(?:async\s+|export\s+(?:default\s+)?)?(?:{forms})|{method}", code, re.MULTILINE) is not None
