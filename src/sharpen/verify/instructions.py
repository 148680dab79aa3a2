"""What a chat model is told of how its answer will be read: one sentence for each verifier, in the words of what it judges.

Telling changes nothing of the judging: an answer in another form is read, or refused, as it would be without.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sharpen.core import Task
from sharpen.verify import verdicts
from sharpen.verify.answers import labelled, letters_of
from sharpen.verify.credit import each_turn, repaired, tried_again
from sharpen.verify.final import read_numbers
from sharpen.verify.rewards import composite

# Tried on a model of 135 M parameters: it follows "The answer is" for numbers, which for words sends it round in circles; and
# it copies what stands between tags in an example. All but that for lists leave room for reasons.
LAST_LINE = "Write the answer alone on the last line."
TAGGED = "Put the final answer between <answer> and </answer>."
MARKED = 'End with "The answer is" and the answer.'
SEVERAL, LINES, FIGURES = "multiple_choice, several", "a text of several lines", "a text of numbers"
# By verifier, and for three kinds of answers. {language} and {schema} are the task's own.
INSTRUCTIONS: Mapping[str, str] = {
    "exact": LAST_LINE,
    "choice": LAST_LINE,
    "number": 'End with "The answer is" and the number.',
    "numbers": "Write only the answer: the numbers, with commas between them.",  # lists that stand alone are read surest
    "gym": TAGGED,  # of these, many have several lines
    "reasoning_gym": TAGGED,
    LINES: TAGGED,
    FIGURES: MARKED,
    "math": MARKED,
    "multiple_choice": 'End with "The answer is" and the letter of your choice.',
    SEVERAL: 'End with "The answer is" and the letters of all choices that are right, with commas between them.',
    "json": "Answer with JSON and nothing else.{schema}",
    "tool_call": "",  # how to call a tool is said with the tools
    "rubric": "",
    "tour": "",  # the question says how settings are written
    "journey": "",  # and how a plan is
    "judge": "",
    "environment": "",
    "code_io": "Answer with the {language} code, all of it in one block that begins with ```{language} and ends with ```.",
}
# What a prompt that says itself how to answer holds.
SAID = re.compile(r"<answer>|\\boxed|####|```")


def instruction(task: Task, instructions: Mapping[str, str] = INSTRUCTIONS) -> str:
    """What a model is told for this task; "" where nothing is to be said, or the prompt says it already."""
    if any(SAID.search(str(message.get("content", ""))) for message in task.prompt):
        return ""
    text = instructions.get(kind_of(task, instructions), "")
    if "{schema}" in text:
        schema = task.data.get("schema")
        shown = "" if schema is None else f" It has to fit this JSON Schema: {json.dumps(schema, ensure_ascii=False)}"
        text = text.replace("{schema}", shown)
    return text.replace("{language}", str(task.data.get("language", "")))


def instructed(verifiers: Iterable[str]) -> list[str]:
    """The instructions of these verifiers, for people: without what each task puts into them. "" where there is none."""
    texts = [INSTRUCTIONS.get(name, "") for name in sorted(verifiers)]
    return [text.replace("{language} ", "").replace("{language}", "").replace("{schema}", "") for text in texts]


def kind_of(task: Task, instructions: Mapping[str, str]) -> str:
    """The key of a task's instruction: its verifier, or the kind of its answer where that is read in another form."""
    name, answer = task.verifier, (task.answer or "").strip()
    if name == "multiple_choice" and len(letters_of(answer, labelled(task.data.get("choices")))) > 1:
        name = SEVERAL
    elif name in ("exact", "choice"):
        name = LINES if "\n" in answer else FIGURES if read_numbers(answer) is not None else name
    return name if name in instructions else task.verifier


def instructions_for(verify: Callable[..., Any]) -> Mapping[str, str]:
    """The instructions where this function judges: by the task's verifier, or those of the one that judges all tasks.

    Empty for a function that is not known here, such as a user's own: only its author knows what it reads.
    """
    while isinstance(verify, functools.partial) and verify.func in (each_turn, repaired, tried_again, composite):
        given = verify.keywords.get("verifier", verdicts.verify), verify.keywords.get("parts")
        verify = given[0] if verify.func is not composite else next(iter(given[1].values()))[0]  # type: ignore[union-attr]
    if verify is verdicts.verify:
        return INSTRUCTIONS
    for name, known in verdicts.VERIFIERS.items():
        ours = getattr(verify, "__module__", "").startswith("sharpen.verify") and getattr(verify, "__name__", "") == name
        if verify is known or ours:
            return dict.fromkeys(INSTRUCTIONS, INSTRUCTIONS[name])
    return {}
