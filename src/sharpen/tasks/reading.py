"""What a shape is, and what is read out of the cells of other people's files: text, levels, final answers, verifiers that fit.

Everything raises UserError with a short reason where a cell does not hold what is wanted; a row with such a cell is left out.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sharpen.core import UserError
from sharpen.verify import read_number
from sharpen.verify.maths import find, last_box

LEVELS = {"introductory": 1, "interview": 2, "competition": 3, "easy": 1, "medium": 2, "medium_hard": 3, "hard": 3}
LEVELS |= {"very_hard": 4, "expert": 4}
DIGITS = re.compile(r"\d{1,3}")
CALCULATOR = re.compile(r"<<[^<>\n]*>>")  # GSM8K's notes to a calculator
MARKED = re.compile(r"\\boxed|\\fbox|####|<answer>|\banswer\b", re.IGNORECASE)
DASHED = re.compile(r"\d+(?:(?: ?[-–—] ?\d+)+|(?:[/.]\d+){2,})(?:[T ]\d\d:\d\d.*)?")  # to carry out would be to misread it
FORMULA = re.compile(r"[\d\\^=_{}$√π∞%]|^[a-z]$")
PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
OWN_FIELDS = "this program's own fields"  # the shape of a file whose columns are ours
WORDS = 8  # of an answer that is compared as words are
LONGEST_FORMULA = 300

Record = Mapping[str, Any]
Line = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """convert  (row) -> a line with `prompt`, `answer`, `verifier` and what else that verifier needs. Raises UserError with a
               short reason where the row holds no task.
    columns  a row is of this shape where it has all of these
    reads    all columns that `convert` looks at; none: whatever there is
    fits     and where this says so of the first rows
    says     {field: what it is made of}, for people
    """

    name: str
    convert: Callable[[Record], Line]
    columns: tuple[str, ...] = ()
    says: Mapping[str, str] = field(default_factory=dict)
    fits: Callable[[Sequence[Record]], bool] = lambda sample: True
    reads: tuple[str, ...] = ()


def text_of(value: Any, what: str) -> str:
    """A cell as text. Numbers are written as JSON does; a number that stands for nothing (NaN) is none."""
    if type(value) is str and value and not value.isspace():
        return value
    value = plain(value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else json.dumps(value)
    if isinstance(value, Mapping) and value:
        names = [str(name) for name in list(value)[:5]]
        raise UserError(f"the {what} is an object with {', '.join(names)}; --map names one of these as COLUMN.{names[0]}")
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"no {what}" if value in (None, "", [], {}) or isinstance(value, str) else f"the {what} is no text")
    return value


def plain(value: Any) -> Any:
    """A cell of Parquet or Arrow as JSON has it; what is missing in an object is left out. UserError for bytes."""
    kind = type(value)
    if kind is str or kind is int or value is None:  # nearly all
        return value
    if kind is dict:
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        raise UserError("bytes where text is wanted")
    if isinstance(value, decimal.Decimal | datetime.date | datetime.datetime | datetime.time):
        return str(value)
    raise UserError(f"{type(value).__name__} where text is wanted")


def loaded(value: Any, what: str) -> Any:
    """A cell that holds JSON, as text or as it is."""
    if not isinstance(value, str):
        return plain(value)
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as e:
        raise UserError(f"the {what} is broken JSON") from e


def level_of(value: Any) -> int:
    """ "Level 5", "5" and 5 are 5; "introductory" and "easy" are 1; what says nothing is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return 1
    if isinstance(value, int):
        return value if 0 <= value < 1000 else 1
    found = DIGITS.search(value)
    return int(found[0]) if found else LEVELS.get(value.strip().lower().replace(" ", "_").replace("-", "_"), 1)


def family_of(value: Any, default: str) -> str:
    """A name for a skill: one line, and no slash, which parts a family from its level."""
    name = " ".join(value.split()).replace("/", "-").replace(",", "")[:80] if isinstance(value, str) else ""
    return name or default


def final(text: str) -> str | None:
    """The final answer of a worked solution that marks it: in a box, behind "####" or "the answer is". None without one."""
    if not MARKED.search(text):
        return None
    if (boxed := last_box(text)) is not None:
        return boxed.strip() or None
    found = find(text)
    return found.text.strip() or None if found.how in ("tag", "box", "marker") else None


def answered(value: Any, verifier: str = "") -> dict[str, Any]:
    """Answer, verifier and, where it was longer, worked solution that a cell gives; a list holds several right answers."""
    if isinstance(value, str) and PLAIN_NUMBER.fullmatch(value):  # nothing else is to be found out about most answers
        return {"answer": value, "verifier": verifier or "math"}
    value = plain(value)
    if isinstance(value, list) and value and all(isinstance(item, str | int | float) for item in value):
        texts = [text_of(item, "answer") for item in value]
        return {"answer": texts if len(texts) > 1 else texts[0], "verifier": verifier or fitting(texts[0])}
    if isinstance(value, Mapping):
        return {"answer": json.dumps(value, ensure_ascii=False), "verifier": verifier or "json"}
    text = text_of(value, "answer").strip()
    if (marked := final(text)) is not None and marked != text:
        return {"answer": marked, "verifier": verifier or fitting(marked, "math"), "solution": text}
    return {"answer": text, "verifier": verifier or fitting(text)}


def worked(answer: str | None) -> Line:
    """Answer, verifier and worked solution of the last answer of a conversation. UserError where there is none."""
    if answer is None:
        raise UserError("the conversation ends without an answer")
    if PLAIN_NUMBER.fullmatch(answer):  # nothing else is to be found out about it
        return {"answer": answer, "verifier": "math", "solution": answer}
    marked = final(answer)
    if marked is None:
        return {"answer": answer.strip(), "verifier": fitting(answer), "solution": answer}
    return {"answer": marked, "verifier": fitting(marked, "math"), "solution": answer}


def fitting(answer: str, otherwise: str = "") -> str:
    """The verifier that fits an answer by its looks: `math` for numbers and formulas, `choice` for a few words, a date, a span
    of years or a telephone number, `json` for an object, `exact` for the rest."""
    answer = answer.strip()
    if read_number(answer) is not None:
        return "math"
    if DASHED.fullmatch(answer):
        return otherwise if otherwise not in ("", "math") else "choice"
    if answer.startswith("{"):
        try:
            json.loads(answer)
            return "json"
        except (ValueError, RecursionError):
            pass
    few = "\n" not in answer and len(answer.split()) <= WORDS
    if "\n" not in answer and len(answer) <= LONGEST_FORMULA and FORMULA.search(answer) and len(answer.split()) <= 3 * WORDS:
        return "math"
    return otherwise or ("choice" if few else "exact")


def listed_choices(question: str, choices: Any) -> tuple[str, list[str] | dict[str, str]]:
    """(the question with its choices below, the choices) of a list of texts, {letter: text}, or {"label": […], "text": […]}."""
    choices = plain(choices)
    if isinstance(choices, Mapping) and {"label", "text"} <= choices.keys():
        choices = dict(zip(choices["label"], choices["text"]))
    if isinstance(choices, list):
        texts: list[str] | dict[str, str] = [text_of(item, "choice") for item in choices]
        lines = [f"{chr(ord('A') + i)}. {text}" for i, text in enumerate(texts)]
    elif isinstance(choices, Mapping):
        texts = {str(letter): text_of(item, "choice") for letter, item in choices.items()}
        lines = [f"{letter}. {text}" for letter, text in texts.items()]
    else:
        raise UserError("no choices")
    if not 2 <= len(lines) <= 26:
        raise UserError(f"{len(lines)} choices")
    return question.rstrip() + "\n\n" + "\n".join(lines), texts


def lettered(line: Line) -> Line:
    """The line, as one of multiple choice where its question lists choices by letter and its answer is one of these letters, or
    several."""
    prompt = line["prompt"] if isinstance(line["prompt"], str) else line["prompt"][-1]["content"]
    answer = line["answer"]
    if line["verifier"] not in ("choice", "exact") or not isinstance(answer, str) or not LETTERS.fullmatch(answer):
        return line
    listed = set(OPTION.findall(prompt))
    return line | ({"verifier": "multiple_choice"} if {"A", "B", *re.findall("[A-J]", answer)} <= listed else {})


LETTERS = re.compile(r"[(\[]?[A-J][)\].]?(?:[,; ]+[A-J])*|[A-J]{2,5}")
OPTION = re.compile(r"(?:^|\s)[(\[]?([A-J])[)\].:]\s*\S", re.MULTILINE)


def chosen(answer: Any, choices: list[str] | dict[str, str]) -> str:
    """The letter, or letters ("A, C"), of the right choice: given by letter, by place from 0, or in its words."""
    letters = list(choices) if isinstance(choices, dict) else [chr(ord("A") + i) for i in range(len(choices))]
    texts = list(choices.values()) if isinstance(choices, dict) else choices
    if isinstance(answer, list):
        return ", ".join(chosen(item, choices) for item in answer)
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    said = text_of(answer, "answer").strip()
    if said.upper() in letters:
        return said.upper()
    if texts.count(said) == 1:
        return letters[texts.index(said)]
    if said.isdecimal() and int(said) < len(letters):
        return letters[int(said)]
    several = [part.strip().upper() for part in re.split(r"[,;/& ]+", said) if part.strip()]
    several = list(said) if len(several) == 1 and said.isupper() else several
    if len(several) > 1 and set(several) <= set(letters):
        return ", ".join(several)
    raise UserError("the answer is none of the choices")


def turns(messages: Any) -> tuple[list[dict[str, Any]], str | None]:
    """`turns_of` a cell that holds a conversation."""
    return turns_of(loaded(messages, "conversation"))


def turns_of(found: Any) -> tuple[list[dict[str, Any]], str | None]:
    """(the messages before the last answer, that answer or None) of a conversation; system and user, then in turn.

    Read are {"role", "content"} and ShareGPT's {"from", "value"}. UserError where tools or pictures have a part in it.
    """
    if not isinstance(found, list) or not found:
        raise UserError("no conversation")
    said = []
    for message in found:
        if not isinstance(message, dict):
            raise UserError("a message that is no object")
        role, content = message.get("role", message.get("from")), message.get("content", message.get("value"))
        role = NAMES.get(str(role).lower())
        if role is None or message.get("tool_calls"):
            raise UserError("tools or others have a part in the conversation")
        if isinstance(content, list):
            if not all(isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content):
                raise UserError("there are pictures in the conversation")
            content = "".join(part["text"] for part in content)
        if not isinstance(content, str) or not content.strip():
            raise UserError("an empty message")
        said.append({"role": role, "content": content})
    answer = said.pop()["content"] if said[-1]["role"] == "assistant" else None
    if not any(message["role"] == "user" for message in said) or said[-1]["role"] != "user":
        raise UserError("no question before the answer")
    return said, answer


def calls_at_end(messages: Any) -> list[dict[str, Any]]:
    """The tool calls with which a conversation ends, each argument with its one right value; none where it ends otherwise.

    As OpenAI's interface has them: {"function": {"name", "arguments"}}, the arguments as JSON in text, or read already.
    """
    last = messages[-1] if isinstance(messages, list) and messages else None
    calls = last.get("tool_calls") if isinstance(last, Mapping) else None
    if not calls:
        return []
    calls = loaded(calls, "tool calls")
    said = []
    for call in calls if isinstance(calls, list) else [calls]:
        function = call.get("function", call) if isinstance(call, Mapping) else {}
        arguments = loaded(function.get("arguments") or {}, "arguments of a call")
        if not isinstance(function.get("name"), str) or not isinstance(arguments, Mapping):
            raise UserError("a tool call without a name, or with arguments that are no object")
        said.append({"name": function["name"], "arguments": {name: [value] for name, value in arguments.items()}})
    return said


NAMES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant"}
NAMES |= {"bot": "assistant", "model": "assistant", "system": "system", "developer": "system"}
