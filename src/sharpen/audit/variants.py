"""Responses whose verdict is known beforehand: what a verifier is audited with.

gold         the task's own answer, or its reference solution: correct
equivalent   the same in another form that every reader accepts: correct
spoilt       something else, also what differs by little: anything but correct
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sharpen import verify
from sharpen.audit.offline import TaskLine
from sharpen.verify import labelled
from sharpen.verify.code import extract, language_of

PHRASES = ("<answer>{}</answer>", "The answer is {}.", "Let me see.\n\nAnswer: {}", "#### {}\n")
SPACED = ("<answer>\n  {}  \n</answer>",)
NOTHING = ("", "I do not know.", "<answer></answer>")
PLAIN = re.compile(r"[^\n{}\\$]*")  # what can be put into a box, or into a sentence, and comes out the same


@dataclass(frozen=True)
class Probe:
    """A response to the task of that id. `right`: whether it must be correct."""

    id: str
    check: str
    response: str

    @property
    def right(self) -> bool:
        return self.check != "spoilt"


def probes(id: str, line: TaskLine, others: Sequence[str]) -> Iterator[Probe]:
    """Of one task. `others` are solutions to other tasks of the same kind, where solutions are programs."""
    right, same, wrong = _code(line, others) if line.task.verifier == "code_io" else _answers(line)
    made = [("gold", text) for text in right] + [("equivalent", text) for text in same]
    made += [("spoilt", text) for text in (*wrong, *line.wrong, *NOTHING)]
    seen = set()
    for check, response in made:
        if response not in seen:
            seen.add(response)
            yield Probe(id, check, response)


def _answers(line: TaskLine) -> tuple[list[str], list[str], list[str]]:
    """(right, the same in other forms, wrong) responses to a task with an answer; little where it has none."""
    task = line.task
    answer = (task.answer or "").strip()
    right = [line.solution] if line.solution else []
    if not answer:
        return right, [], []
    wrong = [f"<answer>{text}</answer>" for text in _spoilt(line, answer)]
    if task.verifier == "json":
        return [*right, answer], _json_forms(answer), wrong
    right.append(PHRASES[0].format(answer))
    plain = PLAIN.fullmatch(answer) and answer[-1] not in ".!?"
    short = plain and not re.search(r"[.!?] |,? (?:because|since|which|as there|where)\b|\(", answer)
    same = [phrase.format(form) for form in (answer, *_forms(line, answer)) for phrase in (PHRASES[0], *SPACED)]
    if task.verifier not in ("gym", "judge", "rubric"):
        same += [phrase.format(answer) for phrase in PHRASES] if short else []
        same += [f"So it is $\\boxed{{{answer}}}$."] if plain else []
    return right, same, wrong


def _forms(line: TaskLine, answer: str) -> list[str]:
    """Other spellings of an answer that its verifier promises to accept."""
    name = line.task.verifier
    if name == "multiple_choice":
        label = _label(line, answer)
        choices = labelled(line.task.data.get("choices"))
        text = [choices[label]] if list(choices.values()).count(choices.get(label, "")) == 1 else []
        return [f"({label})", f"{label}.", label.lower(), *text]
    value = verify.read_number(answer)
    if name in ("number", "math") and value is not None and re.fullmatch(r"-?[0-9]+", answer):
        return [
            f"{answer}.0",
            *([f"{int(value):,}"] if abs(value) >= 1000 else []),
            *([f"0{answer}"] if name == "number" else []),
        ][:2]
    if name == "choice":
        return [answer.upper(), answer.lower()]
    return []


def _spoilt(line: TaskLine, answer: str) -> list[str]:
    """Wrong answers that look like the right one."""
    name = line.task.verifier
    if name == "multiple_choice":
        label = _label(line, answer)
        letters = [*labelled(line.task.data.get("choices"))] or list("ABCD")
        return [other for other in letters if other != label] + [f"{label} or {other}" for other in letters if other != label][
            :1
        ]
    if name == "json":
        return _json_spoilt(answer)
    value = verify.read_number(answer)
    if value is not None and re.fullmatch(r"[-+]?[0-9][0-9,]*(?:\.[0-9]+)?", answer):
        changed = [str(value + 1), str(value - 1), str(value * 10), str(-value), f"{answer} or {value + 1}"]
        changed += [f"{answer}.001" if "." not in answer else f"{answer}1"] + (
            [answer[:-1]] if len(answer.lstrip("+-")) > 1 else []
        )
        return [text for text in changed if "/" not in text and verify.read_number(text) != value]
    last = answer[-1]
    spoilt = [f"not {answer}", f"{answer} {answer}", answer[:-1], answer[:-1] + ("a" if last != "a" else "b"), f"{answer}1"]
    return [text for text in spoilt if text.strip() and text.strip() != answer and not _same_list(line, text, answer)]


def _same_list(line: TaskLine, text: str, answer: str) -> bool:
    """Whether a spoilt list is the same list after all, such as one that lost its closing bracket."""
    accepted = {answer, *line.task.data.get("accept", ())}
    squeezed = {"".join(a.split()) for a in accepted}
    given = verify.read_numbers(text)
    return "".join(text.split()) in squeezed or (given is not None and given == verify.read_numbers(answer))


def _label(line: TaskLine, answer: str) -> str:
    """The letter of the right choice, where the task gives its text."""
    choices = labelled(line.task.data.get("choices"))
    by_text = [label for label, text in choices.items() if text == " ".join(answer.casefold().split())]
    return answer.strip("(). ").upper() if not by_text else by_text[0]


def _json_forms(answer: str) -> list[str]:
    try:
        value = json.loads(answer)
    except ValueError:
        return []
    turned = dict(reversed(value.items())) if isinstance(value, dict) else value
    text = json.dumps(turned, indent=2)
    return [text, f"Here it is:\n```json\n{text}\n```\n", f"<answer>{json.dumps(turned)}</answer>"]


def _json_spoilt(answer: str) -> list[str]:
    try:
        value = json.loads(answer)
    except ValueError:
        return []
    found: list[Any] = [[value], {"value": value}, None if value is not None else 0]
    if isinstance(value, dict) and value:
        first = next(iter(value))
        found += [
            {key: item for key, item in value.items() if key != first},
            value | {first: [value[first]]},
            value | {"more": 1},
        ]
    if isinstance(value, list) and value:
        found += [value[:-1], [*value, value[-1]]]
    return [*(json.dumps(other) for other in found), answer[:-1]]


def _code(line: TaskLine, others: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """(right, the same in other forms, wrong) programs; wrong ones only, where the task has no solution."""
    language = str(line.task.data["language"])
    wrong = [f"```{language}\n\n```", *others]
    if line.solution is None:
        return [], [], wrong
    code = extract(line.solution, language_of(language))[0].strip("\n")
    fenced = f"```{language}\n{code}\n```"
    cut = code.rstrip()[: len(code) // 2]
    same = [f"Here it is.\n\n{fenced}\n\nIt reads the input and prints the result.", f"```\n{code}\n```", f"{fenced}\r\n"]
    return [fenced], same, [*wrong, f"```{language}\n{cut}\n```"]
