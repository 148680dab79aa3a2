"""What a chat model is told of how its answer will be read: one sentence for each verifier, in the words of what it judges.

Telling changes nothing of the judging: an answer in another form is read, or refused, as it would be without.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sharpen.core import Task
from sharpen.verify import verdicts
from sharpen.verify.answers import labelled, letters_of
from sharpen.verify.credit import each_turn
from sharpen.verify.rewards import composite

# The least of models says "The answer is"; it copies what stands between tags as it is, or goes round in circles.
MARKED = 'End with "The answer is" and the answer.'
SEVERAL, LINES = "multiple_choice, several", "an answer of several lines"
# By verifier, and for two kinds of answers. {language} and {schema} are the task's own.
INSTRUCTIONS: Mapping[str, str] = {
    "exact": MARKED,
    "choice": MARKED,
    "number": 'End with "The answer is" and the number.',
    "numbers": 'End with "The answer is" and the numbers, with commas between them.',
    "gym": MARKED,
    "reasoning_gym": MARKED,
    LINES: "Put the final answer between <answer> and </answer>.",
    "math": MARKED,
    "multiple_choice": 'End with "The answer is" and the letter of your choice.',
    SEVERAL: 'End with "The answer is" and the letters of all choices that are right, with commas between them.',
    "json": "Answer with JSON and nothing else.{schema}",
    "tool_call": "",  # how to call a tool is said with the tools
    "rubric": "",
    "judge": "",
    "code_io": "Answer with the {language} code, all of it in one block that begins with ```{language} and ends with ```.",
}
# What a prompt that says itself how to answer holds.
SAID = re.compile(r"<answer>|\\boxed|####|```")


def instruction(task: Task, instructions: Mapping[str, str] = INSTRUCTIONS) -> str:
    """What a model is told for this task; "" where nothing is to be said, or the prompt says it already."""
    if any(SAID.search(str(message.get("content", ""))) for message in task.prompt):
        return ""
    name = task.verifier
    if name == "multiple_choice" and len(letters_of(task.answer or "", labelled(task.data.get("choices")))) > 1:
        name = SEVERAL if SEVERAL in instructions else name
    if name in ("exact", "gym", "reasoning_gym") and "\n" in (task.answer or "").strip() and LINES in instructions:
        name = LINES
    text = instructions.get(name, "")
    if "{schema}" in text:
        schema = task.data.get("schema")
        shown = "" if schema is None else f" It has to fit this JSON Schema: {json.dumps(schema, ensure_ascii=False)}"
        text = text.replace("{schema}", shown)
    return text.replace("{language}", str(task.data.get("language", "")))


def instructions_for(verify: Callable[..., Any]) -> Mapping[str, str]:
    """The instructions where this function judges: by the task's verifier, or those of the one that judges all tasks.

    Empty for a function that is not known here, such as a user's own: only its author knows what it reads.
    """
    while isinstance(verify, functools.partial) and verify.func in (each_turn, composite):
        given = verify.keywords.get("verifier", verdicts.verify), verify.keywords.get("parts")
        verify = given[0] if verify.func is each_turn else next(iter(given[1].values()))[0]  # type: ignore[union-attr]
    if verify is verdicts.verify:
        return INSTRUCTIONS
    for name, known in verdicts.VERIFIERS.items():
        ours = getattr(verify, "__module__", "").startswith("sharpen.verify") and getattr(verify, "__name__", "") == name
        if verify is known or ours:
            return dict.fromkeys(INSTRUCTIONS, INSTRUCTIONS[name])
    return {}
